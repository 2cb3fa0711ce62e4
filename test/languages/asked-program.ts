import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** What a client is asked. */
export interface Question {
  readonly key: string;
  readonly type: "boolean" | "string" | "integer" | "float" | "object";
  readonly default: unknown;
  /** With the `targetingKey` in it. */
  readonly context: Readonly<Record<string, unknown>>;
}

/** What a client said; null where it said nothing. */
export interface Said {
  readonly value: unknown;
  readonly variant: string | null;
  readonly reason: string | null;
  readonly metadata: unknown;
  readonly error: string | null;
  readonly message: string | null;
}

export interface Heard {
  readonly event: string;
  readonly keys: readonly string[];
}

/** A program in another language that asks OpenFeature's clients there: see python/ask.py for what it understands. */
export interface AskedProgram extends AsyncDisposable {
  /** Makes a client of that name. Rejects where its provider does not get ready. */
  open(name: string, provider: "flagd" | "ofrep", options: object): Promise<void>;
  ask(
    name: string,
    questions: readonly Question[],
  ): Promise<{ readonly answers: readonly Said[]; readonly events: readonly Heard[] }>;
}

export function runAskedProgram(command: string, args: readonly string[]): AskedProgram {
  // What SDKs log of errors that tests provoke is for nobody.
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "ignore"] });
  const ended = once(child, "exit");
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const say = async (order: object) => {
    child.stdin.write(`${JSON.stringify(order)}\n`);
    const { value, done } = await lines.next();
    if (done === true) throw new Error(`the program ended at ${JSON.stringify(order)}`);
    const said = JSON.parse(value);
    if (said.failed !== undefined) throw new Error(said.failed);
    return said;
  };
  return {
    open: (name, provider, options) => say({ open: name, provider, options }),
    ask: (name, questions) => say({ ask: name, questions }),
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await ended;
    },
  };
}
