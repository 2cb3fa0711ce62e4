import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { firstToSpeak, type Way } from "../../src/client/first-to-speak.js";
import { settle, VirtualClock } from "../support/virtual-clock.js";

/** A way that a test decides about. */
class Scripted {
  isStarted = false;
  isEnded = false;
  #wake: () => void = () => {};
  readonly #messages: (string | Error)[] = [];

  say(message: string | Error): void {
    this.#messages.push(message);
    this.#wake();
  }

  readonly way: Way<string> = (signal) => this.#read(signal);

  async *#read(signal: AbortSignal): AsyncGenerator<string> {
    this.isStarted = true;
    signal.addEventListener("abort", () => this.say(new Error("aborted")));
    try {
      for (;;) {
        const message = this.#messages.shift();
        if (message instanceof Error) throw message;
        if (message === "end") return;
        if (message === undefined) {
          await new Promise<void>((wake) => {
            this.#wake = wake;
          });
        } else {
          yield message;
        }
      }
    } finally {
      this.isEnded = true;
    }
  }
}

let clock: VirtualClock;
let abort: AbortController;
let first: Scripted;
let second: Scripted;
let told: string[];

beforeEach(() => {
  clock = new VirtualClock();
  abort = new AbortController();
  first = new Scripted();
  second = new Scripted();
  told = [];
});

afterEach(() => {
  expect(clock.pendingTimers).toBe(0);
});

/** Reads until the end; what is thrown is told too. */
function start(): Promise<void> {
  const isFinal = (error: unknown) => error instanceof Error && error.message === "refused";
  const blame = ([earliest]: readonly unknown[]) => earliest;
  const impatience = { clock, delayMs: 100, signal: abort.signal, isFinal, blame };
  const read = async () => {
    try {
      for await (const [message, way] of firstToSpeak([first.way, second.way], impatience))
        told.push(`${way} ${message}`);
      told.push("end");
    } catch (error) {
      told.push(`threw ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  return read();
}

describe("of two ways", () => {
  it("the second is not tried where the first speaks in time", async () => {
    const done = start();
    first.say("a");
    await clock.advance(1_000);
    first.say("b");
    first.say("end");
    await done;
    expect(told).toEqual(["0 a", "0 b", "end"]);
    expect(second.isStarted).toBe(false);
  });

  it("the second is tried beside a first that is silent, and the one that speaks first is heard alone", async () => {
    const done = start();
    await clock.advance(99);
    expect(second.isStarted).toBe(false);
    await clock.advance(1);
    second.say("x");
    await settle();
    expect([first.isEnded, second.isEnded]).toEqual([true, false]);
    first.say("too late");
    second.say("end");
    await done;
    expect(told).toEqual(["1 x", "end"]);
    expect(second.isEnded).toBe(true);
  });

  it("the first may still win after the second was tried", async () => {
    const done = start();
    await clock.advance(100);
    first.say("slow");
    first.say("end");
    await done;
    await settle();
    expect(told).toEqual(["0 slow", "end"]);
    expect([first.isEnded, second.isEnded]).toEqual([true, true]);
  });

  it("the second is tried at once where the first fails; where both fail, the first's error counts", async () => {
    const done = start();
    first.say(new Error("one"));
    await settle();
    expect(second.isStarted).toBe(true);
    second.say(new Error("two"));
    await done;
    expect(told).toEqual(["threw one"]);
  });

  it("the second is tried where the first ends without a message; where both do, that is the error", async () => {
    const done = start();
    first.say("end");
    await settle();
    second.say("x");
    second.say("end");
    await done;
    expect(told).toEqual(["1 x", "end"]);
    first = new Scripted();
    second = new Scripted();
    first.say("end");
    second.say("end");
    await start();
    expect(told.at(-1)).toBe("threw it ended without a message");
  });

  it("a refusal by either ends it", async () => {
    const done = start();
    first.say(new Error("one"));
    await settle();
    second.say(new Error("refused"));
    await done;
    expect(told).toEqual(["threw refused"]);
    const again = new Scripted();
    first = again;
    second = new Scripted();
    const both = start();
    again.say(new Error("refused"));
    await both;
    expect(second.isStarted).toBe(false);
  });

  it.each([0, 100])("both are given up with the signal, after %i ms", async (ms) => {
    const done = start();
    await clock.advance(ms);
    abort.abort(new Error("enough"));
    await done;
    await settle();
    expect(told).toEqual(["threw enough"]);
    expect(first.isEnded).toBe(true);
    expect(second.isEnded).toBe(second.isStarted);
  });

  it("an error after the first message is the reader's, as it is", async () => {
    const done = start();
    first.say("a");
    await settle();
    first.say(new Error("broken"));
    await done;
    expect(told).toEqual(["0 a", "threw broken"]);
    expect(second.isStarted).toBe(false);
  });
});
