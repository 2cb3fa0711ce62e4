import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import type {
  EvaluateResponse,
  EvaluationService,
  WatchEvaluationsResponse,
} from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { EvaluationService as Evaluation } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { GoodbyeReason } from "../../gen/flagwire/v1/watch_pb.js";
import { toFrame } from "../../src/base/index.js";
import { VirtualClock } from "../support/virtual-clock.js";
import {
  booleanFlag,
  inSegment,
  invalid,
  match,
  number,
  openServer,
  type RestartableServer,
  refusalOf,
  refused,
  rule,
  serve,
  stringFlag,
  text,
} from "./admin-support.js";

const ann = { targetingKey: "ann", attributes: { plan: "pro" } };

/** An answer in short. */
function tellAnswer({ flagKey, variant, reason, error }: EvaluateResponse): string {
  return `${flagKey}=${error?.code ?? (variant || "default")}:${reason}`;
}

/** A message in short. */
function tell({ kind }: WatchEvaluationsResponse): string {
  if (kind.case === "update") {
    const { full, evaluations, removedFlagKeys, revision } = kind.value;
    const parts = [...evaluations.map(tellAnswer), ...removedFlagKeys.map((key) => `-${key}`)];
    return `${full ? "full" : "changed"}[${parts.join(" ")}]@${revision}`;
  }
  if (kind.case === "goodbye") return `goodbye ${GoodbyeReason[kind.value.reason]}`;
  return kind.case === "heartbeat" ? `heartbeat@${kind.value.revision}` : "nothing";
}

/** One stream. */
class Stream {
  readonly messages: WatchEvaluationsResponse[] = [];
  readonly #abort = new AbortController();
  error: ConnectError | undefined;
  readonly ended: Promise<void>;

  constructor(client: Client<typeof EvaluationService>, request: object) {
    this.ended = this.#read(client, request);
    streams.push(this);
  }

  /** Resolves to all that came, once there are so many messages. */
  async told(count: number): Promise<string[]> {
    await vi.waitFor(() => expect(this.messages.length).toBeGreaterThanOrEqual(count));
    return this.messages.map(tell);
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.ended;
  }

  async #read(client: Client<typeof EvaluationService>, request: object): Promise<void> {
    try {
      for await (const message of client.watchEvaluations(request, { signal: this.#abort.signal })) {
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

const watch = (request: object = { context: ann }) => new Stream(server.evaluation, request);

/** A client of Connect over HTTP/1.1, as browsers are. */
function connectClient(useBinaryFormat: boolean): Client<typeof EvaluationService> {
  const baseUrl = `http://${server.address}`;
  return createClient(Evaluation, createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat }));
}

const createFlag = (key: string, targeting: object = {}) =>
  server.admin.createFlag({
    flag: booleanFlag(key),
    targeting: { enabled: true, offVariant: "off", default: serve("on"), ...targeting },
  });
const isPro = match("plan", Operator.IN, text("pro"));

describe.each([
  ["gRPC", () => server.evaluation],
  ["Connect over HTTP/1.1", () => connectClient(true)],
  ["Connect in JSON", () => connectClient(false)],
])("a stream over %s", (_name, client) => {
  it("begins with all answers, which are those of BulkEvaluate, then brings what changes", async () => {
    await createFlag("b");
    await createFlag("a", { rules: [rule(isPro, "off", "pros")] });
    const stream = new Stream(client(), { context: ann });
    expect(await stream.told(1)).toEqual(["full[a=off:TARGETING_MATCH b=on:STATIC]@3"]);
    const [first] = stream.messages;
    const { evaluations } = await server.evaluation.bulkEvaluate({ context: ann });
    expect(first?.kind.value).toMatchObject({ evaluations });
    await server.admin.killFlags({ flagKeys: ["b"], reason: "r" });
    await stream.told(2);
    await createFlag("c");
    await stream.told(3);
    await server.admin.deleteFlag({ key: "a" });
    expect((await stream.told(4)).slice(1)).toEqual([
      "changed[b=off:KILLED]@4",
      "changed[c=on:STATIC]@5",
      "changed[-a]@6",
    ]);
    expect(stream.messages[1]?.kind.value).toMatchObject({ evaluations: [{ revision: 4n }] });
  });

  it("ends with a goodbye and UNAVAILABLE where the environment is deleted", async () => {
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    const stream = new Stream(client(), { environment: "staging" });
    await stream.told(1);
    await server.admin.deleteEnvironment({ name: "staging" });
    await stream.ended;
    expect(await stream.told(2)).toEqual(["full[]@2", "goodbye ENVIRONMENT_DELETED"]);
    expect(stream.error?.code).toBe(Code.Unavailable);
  });

  it("ends with a goodbye that says when to come back where the server drains", async () => {
    const stream = new Stream(client(), {});
    await stream.told(1);
    await server.stop();
    await stream.ended;
    expect(await stream.told(2)).toEqual(["full[]@1", "goodbye SHUTDOWN"]);
    expect(stream.error?.code).toBe(Code.Unavailable);
    const { kind } = stream.messages[1] ?? {};
    const { seconds = 0n, nanos = 0 } = (kind?.case === "goodbye" && kind.value.retryAfter) || {};
    const retryAfterMs = Number(seconds) * 1_000 + nanos / 1e6;
    expect(retryAfterMs).toBeGreaterThanOrEqual(500);
    expect(retryAfterMs).toBeLessThan(1_500);
  });
});

/** Calls as a browser's page does. */
async function fetchStream(type: "json" | "proto"): Promise<ReadableStreamDefaultReader<Uint8Array>> {
  const body = type === "json" ? Buffer.from("{}") : Buffer.alloc(0);
  const response = await fetch(`http://${server.address}/flagwire.v1.EvaluationService/WatchEvaluations`, {
    method: "POST",
    headers: { "content-type": `application/connect+${type}` },
    body: toFrame(body),
  });
  const reader = response.body?.getReader();
  if (reader === undefined) throw new Error("the response has no body");
  return reader;
}

describe("a client that is too slow", () => {
  const CHANGES = 24;
  const large = (index: number) => stringFlag("a", [], { variants: { v: text(`${index} `.repeat(400_000)) } });
  beforeEach(async () => {
    await server.admin.createFlag({ flag: large(0), targeting: { enabled: true, default: serve("v") } });
  });
  const change = async () => {
    for (let index = 1; index <= CHANGES; index++) await server.admin.updateFlag({ flag: large(index) });
  };

  it("skips what came between over gRPC, and ends with what is", async () => {
    const messages = server.evaluation.watchEvaluations({})[Symbol.asyncIterator]();
    await messages.next();
    await change();
    let count = 0;
    for (let revision = 0n; revision < server.server.revision; count++) {
      const { value: message } = await messages.next();
      const { kind } = message as WatchEvaluationsResponse;
      if (kind.case === "update") revision = kind.value.revision;
    }
    expect(count).toBeLessThan(CHANGES);
    await messages.return?.();
  });

  it("skips what came between over HTTP/1.1, and ends with what is", async () => {
    const reader = await fetchStream("json");
    const chunks: Uint8Array[] = [];
    const readSome = async () => {
      const { value } = await reader.read();
      if (value === undefined) throw new Error("the stream has ended");
      chunks.push(value);
    };
    await readSome();
    await change();
    // The update's own revision is the last that a message holds.
    const last = `"revision":"${server.server.revision}"}}`;
    while (!Buffer.concat(chunks.slice(-2)).toString("latin1").endsWith(last)) await readSome();
    await reader.cancel();
    const updates =
      Buffer.concat(chunks)
        .toString("latin1")
        .match(/"update":/g) ?? [];
    expect(updates.length).toBeLessThan(CHANGES);
  });
});

describe("a change", () => {
  it("is told to nobody whose answers stay as they are", async () => {
    await createFlag("a", { rules: [rule(isPro, "on")] });
    const stream = watch();
    await stream.told(1);
    await server.admin.updateFlag({ flag: booleanFlag("a", { description: "d", tags: ["t"] }) });
    // The same rule still decides, whatever follows it.
    const rules = [rule(isPro, "on", "rule-1"), rule(match("plan", Operator.IN, text("free")), "off")];
    await server.admin.updateTargeting({ targeting: { flagKey: "a", enabled: true, offVariant: "off", rules } });
    const { revision } = await createFlag("b");
    expect(await stream.told(2)).toEqual(["full[a=on:TARGETING_MATCH]@2", `changed[b=on:STATIC]@${revision}`]);
  });

  it("is told where only the rule or the metadata is another", async () => {
    const flag = stringFlag("a", ["x"], { metadata: { team: "web" } });
    await server.admin.createFlag({ flag, targeting: { enabled: true, rules: [rule(isPro, "x", "first")] } });
    const stream = watch();
    await stream.told(1);
    await server.admin.updateTargeting({
      targeting: { flagKey: "a", enabled: true, rules: [rule(isPro, "x", "second")] },
    });
    await stream.told(2);
    await server.admin.updateFlag({ flag: { ...flag, metadata: { team: "mobile" } } });
    await stream.told(3);
    const seen = stream.messages.map(({ kind }) => (kind.case === "update" ? kind.value.evaluations[0] : undefined));
    expect(seen.map((answer) => answer?.ruleId)).toEqual(["first", "second", "second"]);
    expect(seen.map((answer) => answer?.metadata)).toEqual(["web", "web", "mobile"].map((team) => ({ team })));
  });

  it("reaches flags by segments and prerequisites", async () => {
    await server.admin.createSegment({ segment: { key: "beta" } });
    await createFlag("a", { rules: [rule(inSegment("beta"), "off", "r")] });
    await createFlag("b", { prerequisites: [{ flagKey: "a", variants: ["on"] }] });
    const stream = watch();
    await stream.told(1);
    await server.admin.updateSegment({ segment: { key: "beta", included: ["ann"] } });
    expect(await stream.told(2)).toEqual([
      "full[a=on:DEFAULT b=on:DEFAULT]@4",
      "changed[a=off:TARGETING_MATCH b=off:PREREQUISITE_FAILED]@5",
    ]);
  });

  it("in another environment is none", async () => {
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    await createFlag("a");
    const stream = watch();
    await stream.told(1);
    await server.admin.updateTargeting({
      targeting: { environment: "staging", flagKey: "a", enabled: true, default: serve("off") },
    });
    await createFlag("b");
    expect(await stream.told(2)).toEqual(["full[a=on:STATIC]@3", "changed[b=on:STATIC]@5"]);
  });
});

describe("named flags", () => {
  it("are answered whether they exist or not, and nobody else is", async () => {
    await createFlag("b");
    await createFlag("other");
    const stream = watch({ context: ann, flagKeys: ["later", "b"] });
    await stream.told(1);
    await createFlag("later");
    await stream.told(2);
    await server.admin.killFlags({ flagKeys: ["other"], reason: "r" });
    await server.admin.deleteFlag({ key: "b" });
    expect(await stream.told(3)).toEqual([
      "full[b=on:STATIC later=FLAG_NOT_FOUND:ERROR]@3",
      "changed[later=on:STATIC]@4",
      "changed[b=FLAG_NOT_FOUND:ERROR]@6",
    ]);
  });
});

describe("a request", () => {
  it.each([
    ["an unknown environment", { environment: "nowhere" }, refused("NotFound", "ENVIRONMENT_NOT_FOUND")],
    ["a flag named twice", { flagKeys: ["a", "b", "a"] }, invalid("flag_keys[2]")],
    ["a long client name", { clientName: "x".repeat(257) }, invalid("client_name")],
    ["a long targeting key", { context: { targetingKey: "x".repeat(65_537) } }, invalid("context.targeting_key")],
    ["a long attribute", { context: { attributes: { a: "x".repeat(65_537) } } }, invalid('context.attributes["a"]')],
  ])("with %s is refused", async (_name, request, expected) => {
    const first = async () => {
      for await (const message of connectClient(true).watchEvaluations(request)) return message;
      return undefined;
    };
    const { error: _error, ...seen } = await refusalOf(first());
    expect(seen).toEqual(expected);
  });

  it("for answers of more than 16 MiB is refused; one for some of them is not", async () => {
    const large = { v: text("x".repeat(1_500_000)) };
    const add = (key: string) =>
      server.admin.createFlag({
        flag: stringFlag(key, [], { variants: large }),
        targeting: { enabled: true, default: serve("v") },
      });
    for (let index = 0; index < 12; index++) await add(`f${index}`);
    await expect(refusalOf(server.evaluation.bulkEvaluate({}))).resolves.toMatchObject({
      reason: "RESPONSE_TOO_LARGE",
    });
    const stream = new Stream(connectClient(true), {});
    await stream.ended;
    expect(stream.error).toMatchObject({ code: Code.ResourceExhausted });
    const some = new Stream(connectClient(true), { flagKeys: ["f0"] });
    await some.told(1);
    expect(some.messages[0]?.kind.value).toMatchObject({ evaluations: [{ variant: "v" }] });
  });
});

describe("time", () => {
  let clock: VirtualClock;
  beforeEach(async () => {
    clock = new VirtualClock(Date.UTC(2027, 0, 1));
    server = await openServer({ clock, random: () => 0.5 });
  });

  const launchesAt = (ms: number) => [rule(match("$now", Operator.GREATER_OR_EQUAL, number(ms)), "off", "launched")];

  it("that passes in silence brings a heartbeat within 15 s, of the revision that the head is at", async () => {
    await createFlag("a", { rules: [rule(isPro, "on")] });
    const stream = watch({});
    await stream.told(1);
    await clock.advance(5_000);
    await server.admin.updateFlag({ flag: booleanFlag("a", { description: "changes no answer" }) });
    await clock.advance(10_000);
    expect(await stream.told(2)).toEqual(["full[a=on:DEFAULT]@2", "heartbeat@3"]);
    await clock.advance(15_000);
    expect((await stream.told(3)).slice(2)).toEqual(["heartbeat@3"]);
  });

  it("changes answers that depend on it within 15 s", async () => {
    await createFlag("timed", { rules: launchesAt(clock.now() + 20_000) });
    await createFlag("follows", { prerequisites: [{ flagKey: "timed", variants: ["on"] }] });
    const all = watch({});
    const named = watch({ flagKeys: ["timed"] });
    await all.told(1);
    await named.told(1);
    await clock.advance(15_000);
    expect(await all.told(2)).toEqual(["full[follows=on:DEFAULT timed=on:DEFAULT]@3", "heartbeat@3"]);
    await clock.advance(20_000);
    const launched = "timed=off:TARGETING_MATCH";
    expect((await all.told(3)).slice(2, 3)).toEqual([`changed[follows=off:PREREQUISITE_FAILED ${launched}]@3`]);
    expect((await named.told(3)).slice(2, 3)).toEqual([`changed[${launched}]@3`]);
  });

  it("changes them also where other changes leave no silence", async () => {
    await createFlag("timed", { rules: launchesAt(clock.now() + 20_000) });
    const stream = watch({});
    await stream.told(1);
    for (const step of [1, 2, 3]) {
      await clock.advance(8_000);
      await createFlag(`other-${step}`);
      await stream.told(step + 1);
    }
    expect((await stream.told(4)).slice(3)).toEqual(["changed[other-3=on:STATIC timed=off:TARGETING_MATCH]@5"]);
  });
});

describe("what travels", () => {
  it("is answers: no condition, no segment, no other variant", async () => {
    await server.admin.createSegment({ segment: { key: "secret-segment", included: ["secret-member"] } });
    const condition = match("secret-attribute", Operator.IN, text("secret-value"));
    await server.admin.createFlag({
      flag: stringFlag("a", ["shown", "secret-variant"], { description: "secret-description" }),
      targeting: {
        enabled: true,
        default: serve("shown"),
        targets: [{ variant: "secret-variant", targetingKeys: ["secret-target"] }],
        rules: [rule(condition, "secret-variant", "r1"), rule(inSegment("secret-segment"), "secret-variant", "r2")],
      },
    });
    for (const type of ["json", "proto"] as const) {
      const reader = await fetchStream(type);
      const { value } = await reader.read();
      await reader.cancel();
      const seen = Buffer.from(value ?? []).toString("latin1");
      expect(seen).toContain("shown");
      expect(seen).not.toContain("secret");
    }
  });
});
