import { toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  GoodbyeReason,
  type Position,
  UpdateKind,
  type WatchItem,
  type WatchResponse,
  WatchResponseSchema,
} from "../../gen/flagwire/v1/watch_pb.js";
import { emptySnapshot } from "../../src/engine/index.js";
import { tell } from "../support/stream-tap.js";
import {
  booleanFlag,
  inSegment,
  invalid,
  openServer,
  type RestartableServer,
  refusalOf,
  refused,
  rule,
  serve,
  stringFlag,
  text,
} from "./admin-support.js";

/** A message in short, its items in order of their names: the order that they travel in means nothing. */
function tellSorted(message: WatchResponse): string {
  return tell(message).replace(/\[(.*)\]/, (_, items: string) => `[${items.split(",").sort().join(",")}]`);
}

/** One stream over gRPC. */
class Stream {
  readonly messages: WatchResponse[] = [];
  readonly #abort = new AbortController();
  /** Undefined: it goes on. */
  error: ConnectError | undefined;
  readonly ended: Promise<void>;

  constructor(request: object = {}) {
    this.ended = this.#read(request);
    streams.push(this);
  }

  /** Resolves to the stories of at least so many messages. */
  async stories(count: number): Promise<string[]> {
    await vi.waitFor(() => expect(this.messages.length).toBeGreaterThanOrEqual(count));
    return this.messages.map(tellSorted);
  }

  get position(): Position | undefined {
    return this.messages.map(({ commit, heartbeat }) => (commit ?? heartbeat)?.position).findLast((known) => known);
  }

  async stop(): Promise<Position | undefined> {
    this.#abort.abort();
    await this.ended;
    return this.position;
  }

  async #read(request: object): Promise<void> {
    try {
      for await (const message of server.evaluation.watch(request, { signal: this.#abort.signal })) {
        this.messages.push(message);
      }
    } catch (thrown) {
      this.error = ConnectError.from(thrown);
    }
  }
}

let server: RestartableServer;
const streams: Stream[] = [];
beforeEach(async () => {
  server = await openServer();
});
afterEach(async () => {
  for (const stream of streams.splice(0)) await stream.stop();
});

/** Where a client that was here once left off. */
async function positionNow(): Promise<Position> {
  const stream = new Stream();
  await stream.stories(1);
  const position = await stream.stop();
  if (position === undefined) throw new Error("the stream had no position");
  return position;
}

async function storyFrom(position: object): Promise<string> {
  const stream = new Stream({ position });
  const [first] = await stream.stories(1);
  await stream.stop();
  return first ?? "";
}

describe("a stream", () => {
  it("begins with everything, and with the digest that the engine computes", async () => {
    await server.admin.createSegment({ segment: { key: "s", included: ["u"] } });
    await server.admin.createFlag({ flag: booleanFlag("b", { description: "for people", owner: "o", tags: ["t"] }) });
    const rules = [rule(inSegment("s"), "on")];
    await server.admin.createFlag({
      flag: booleanFlag("a"),
      targeting: { enabled: true, rules, default: serve("off") },
    });
    const stream = new Stream();
    await stream.stories(1);
    const [full] = stream.messages;
    const position = full?.commit?.position;
    if (full === undefined || position === undefined) throw new Error("the update has no position");
    const mirror = emptySnapshot("production").apply("full", full.items, position);
    expect(full.commit?.digest).toBe(mirror.digest);
    expect(mirror.flag("a")?.select({ targetingKey: "u" }, 0)).toMatchObject({ variant: "on", ruleId: "rule-1" });
    expect(full.items).toHaveLength(3);
    const b = full.items.map(flagOf).find((state) => state?.flag?.key === "b");
    expect(b).toMatchObject({
      flag: { description: "", owner: "", tags: [], createdBy: "" },
      targeting: { flagKey: "b" },
    });
  });

  it("brings each write as one delta, whatever it is", async () => {
    const { admin } = server;
    const stream = new Stream();
    await stream.stories(1);
    await admin.createFlag({ flag: booleanFlag("a") });
    await admin.updateTargeting({ targeting: { flagKey: "a", enabled: true } });
    await admin.updateFlag({ flag: booleanFlag("a", { description: "d" }) });
    await admin.killFlags({ flagKeys: ["a"], reason: "r" });
    await admin.createSegment({ segment: { key: "s" } });
    await admin.deleteSegment({ key: "s" });
    await admin.deleteFlag({ key: "a" });
    const file = { flags: [booleanFlag("b"), booleanFlag("c")], segments: [{ key: "t" }] };
    await admin.import(
      (async function* () {
        yield { file };
      })(),
    );
    await vi.waitFor(() => expect(stream.position?.revision).toBe(9n));
    // Those that follow each other closely may be folded; applied in order they give what the server has.
    const stories = stream.messages.map(tell);
    expect(stories[0]).toBe("full[]@1");
    expect(stories.slice(1).every((story) => story.startsWith("delta["))).toBe(true);
    let mirror = emptySnapshot("production");
    for (const { items, commit } of stream.messages) {
      mirror = mirror.apply("delta", items, commit?.position as Position);
      expect(mirror.digest).toBe(commit?.digest);
    }
    expect(mirror.flags().map(({ key }) => key)).toEqual(["b", "c"]);
  });

  it("brings nothing for what was refused, tried or changed nothing", async () => {
    const { admin } = server;
    await admin.createFlag({ flag: booleanFlag("a") });
    const stream = new Stream();
    await stream.stories(1);
    await refusalOf(admin.createFlag({ flag: booleanFlag("a") }));
    await admin.createFlag({ flag: booleanFlag("b"), dryRun: true });
    await admin.updateFlag({ flag: booleanFlag("a") });
    await admin.createFlag({ flag: booleanFlag("c") });
    expect(await stream.stories(2)).toEqual(["full[a]@2", "delta[c]@3"]);
  });

  it("only moves its position for a write in another environment", async () => {
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    await server.admin.createFlag({ flag: booleanFlag("a") });
    const production = new Stream();
    const staging = new Stream({ environment: "staging" });
    await production.stories(1);
    await staging.stories(1);
    await server.admin.updateTargeting({ environment: "staging", targeting: { flagKey: "a", enabled: true } });
    expect(await staging.stories(2)).toEqual(["full[a]@3", "delta[a]@4"]);
    expect(await production.stories(2)).toEqual(["full[a]@3", "heartbeat@4"]);
  });

  it("carries a large environment in messages of bounded size", async () => {
    const variants = { v: text("x".repeat(300_000)) };
    for (const key of ["a", "b", "c", "d", "e"])
      await server.admin.createFlag({ flag: stringFlag(key, [], { variants }) });
    const stream = new Stream();
    await vi.waitFor(() => expect(stream.position).toBeDefined());
    const { messages } = stream;
    expect(messages.length).toBeGreaterThan(1);
    for (const message of messages) {
      expect(toBinary(WatchResponseSchema, message).length).toBeLessThanOrEqual(1_048_576);
    }
    expect(messages.map(({ begin }) => begin?.kind)).toEqual([
      UpdateKind.FULL,
      ...messages.slice(1).map(() => undefined),
    ]);
    expect(messages.map(({ commit }) => commit !== undefined)).toEqual([...messages.slice(1).map(() => false), true]);
    const keys = messages.flatMap(({ items }) => items.map((item) => flagOf(item)?.flag?.key));
    expect(keys.sort()).toEqual(["a", "b", "c", "d", "e"]);
  });

  it("of an environment that does not exist is refused, and so is a client's name that is too long", async () => {
    const refusal = async (request: object) => {
      const stream = new Stream(request);
      await stream.ended;
      return refusalOf(Promise.reject(stream.error));
    };
    const nowhere = refused("NotFound", "ENVIRONMENT_NOT_FOUND");
    expect(await refusal({ environment: "nowhere" })).toMatchObject(nowhere);
    expect(await refusal({ clientName: "c".repeat(257) })).toMatchObject(invalid("client_name"));
  });

  it("of an environment that is deleted says goodbye and ends with UNAVAILABLE; its successor starts afresh", async () => {
    const { admin } = server;
    await admin.createEnvironment({ environment: { name: "staging" } });
    await admin.createFlag({ flag: booleanFlag("a") });
    const stream = new Stream({ environment: "staging" });
    const other = new Stream();
    await stream.stories(1);
    await other.stories(1);
    await admin.deleteEnvironment({ name: "staging" });
    await stream.ended;
    expect(stream.messages.at(-1)?.goodbye?.reason).toBe(GoodbyeReason.ENVIRONMENT_DELETED);
    expect(stream.error?.code).toBe(Code.Unavailable);
    expect(other.error).toBeUndefined();
    await admin.createEnvironment({ environment: { name: "staging" } });
    const successor = new Stream({ environment: "staging", position: stream.position });
    expect(await successor.stories(1)).toEqual(["full[a]@5"]);
  });
});

describe("a stream of one update", () => {
  it("ends with OK, and the next one goes on where it ended", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    const first = new Stream({ once: true });
    await first.ended;
    await server.admin.createFlag({ flag: booleanFlag("b") });
    const second = new Stream({ once: true, position: first.position });
    await second.ended;
    expect(await first.stories(1)).toEqual(["full[a]@2"]);
    expect(await second.stories(1)).toEqual(["delta[b]@3"]);
    expect([first.error, second.error]).toEqual([undefined, undefined]);
  });
});

describe("a stream that goes on from a position", () => {
  beforeEach(async () => {
    for (const key of ["a", "b"]) await server.admin.createFlag({ flag: booleanFlag(key) });
  });

  it("brings nothing where nothing changed", async () => {
    expect(await storyFrom(await positionNow())).toBe("none[]@3");
  });

  it("brings what changed, across a restart of the server", async () => {
    const position = await positionNow();
    await server.restart();
    expect(await storyFrom(position)).toBe("none[]@3");
    await server.admin.updateTargeting({ targeting: { flagKey: "b", enabled: true } });
    await server.admin.createFlag({ flag: booleanFlag("c") });
    await server.admin.deleteFlag({ key: "a" });
    await server.restart();
    expect(await storyFrom(position)).toBe("delta[-a,b,c]@6");
  });

  it("brings what changed in another environment too, across a restart", async () => {
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    const first = new Stream({ environment: "staging" });
    await first.stories(1);
    const position = await first.stop();
    await server.admin.updateTargeting({ environment: "staging", targeting: { flagKey: "a", enabled: true } });
    await server.restart();
    const stream = new Stream({ environment: "staging", position });
    expect(await stream.stories(1)).toEqual(["delta[a]@5"]);
  });

  it("brings everything where the position is of another epoch, of the future, or of before there was history", async () => {
    const { epoch, revision } = await positionNow();
    expect(await storyFrom({ epoch: "another", revision })).toBe("full[a,b]@3");
    expect(await storyFrom({ epoch, revision: revision + 1n })).toBe("full[a,b]@3");
    expect(await storyFrom({ epoch, revision: 2n ** 64n - 1n })).toBe("full[a,b]@3");
    expect(await storyFrom({})).toBe("full[a,b]@3");
  });

  it("brings everything from before the environment existed", async () => {
    const { epoch } = await positionNow();
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    for (const restart of [false, true]) {
      if (restart) await server.restart();
      const stream = new Stream({ environment: "staging", position: { epoch, revision: 3n } });
      expect(await stream.stories(1)).toEqual(["full[a,b]@4"]);
      await stream.stop();
    }
  });
});

describe("a server that stops", () => {
  it("says goodbye on every stream, when to come back, and ends it with UNAVAILABLE", async () => {
    const all = [new Stream(), new Stream(), new Stream()];
    for (const stream of all) await stream.stories(1);
    await server.stop();
    for (const stream of all) {
      await stream.ended;
      const { goodbye } = stream.messages.at(-1) ?? {};
      expect(goodbye?.reason).toBe(GoodbyeReason.SHUTDOWN);
      expect(goodbye?.retryAfter).toBeDefined();
      expect(stream.error?.code).toBe(Code.Unavailable);
    }
  });
});

function flagOf(item: WatchItem | undefined) {
  return item?.kind.case === "flag" ? item.kind.value : undefined;
}
