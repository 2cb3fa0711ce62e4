import { Code } from "@connectrpc/connect";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { inSegment, match, rule, serve, value } from "../engine/build.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { enabled, flagOf, ON_OFF } from "./evaluation-support.js";
import { flagsOf, SyncStream, syncClient } from "./sync-support.js";

let server: TestServer;
const streams: SyncStream[] = [];
beforeAll(async () => {
  server = await openTestServer();
  await server.admin.createEnvironment({ environment: { name: "staging" } });
  await server.admin.createFlag({
    flag: flagOf("dark", ON_OFF, { metadata: { team: "web" } }),
    targeting: enabled("on"),
  });
});
afterAll(() => server[Symbol.asyncDispose]());
afterEach(() => {
  for (const stream of streams.splice(0)) stream.close();
});

function follow(headers: Record<string, string> = {}, selector = "", { address } = server): SyncStream {
  const stream = new SyncStream(address, headers, selector);
  streams.push(stream);
  return stream;
}

const serveIn = (environment: string, flagKey: string, variant: string) =>
  server.admin.updateTargeting({
    environment,
    targeting: { flagKey, ...enabled(variant) },
    updateMask: { paths: ["enabled", "default"] },
  });

describe("SyncFlags", () => {
  test("sends all flags at once, in the form that flagd sends, and nothing else", async () => {
    const { flagConfiguration } = await syncClient(server.address).fetchAllFlags({});
    expect(flagConfiguration).toBe(
      '{"flags":{"dark":{"state":"ENABLED","variants":{"on":true,"off":false},"metadata":{"team":"web"},"defaultVariant":"on"}}}',
    );
    expect(await follow().next()).toEqual(JSON.parse(flagConfiguration).flags);
  });

  test("sends all again after a change, and nothing where this environment has none", async () => {
    const stream = follow();
    const first = await stream.next();
    await serveIn("staging", "dark", "off");
    await server.admin.updateFlag({
      flag: flagOf("dark", ON_OFF, { description: "what people read" }),
      updateMask: { paths: ["description"] },
    });
    // It answers when there is nothing newer to send.
    await syncClient(server.address).fetchAllFlags({});
    await serveIn("production", "dark", "off");
    const second = await stream.next();
    expect(first.dark?.defaultVariant).toBe("on");
    expect(second.dark?.defaultVariant).toBe("off");
    expect(stream.received).toBe(2);
    await serveIn("production", "dark", "on");
    await stream.next();
  });

  test("follows the segments and the flags that a flag needs", async () => {
    const { admin } = server;
    for (const environment of ["production", "staging"]) {
      await admin.createSegment({ environment, segment: { key: "staff", included: ["ann"] } });
    }
    await admin.createFlag({
      flag: flagOf("tools", ON_OFF),
      targeting: { ...enabled("off"), rules: [rule(inSegment("staff"), "r", serve("on"))] },
    });
    await admin.createFlag({
      flag: flagOf("more-tools", ON_OFF),
      targeting: { ...enabled("on"), offVariant: "off", prerequisites: [{ flagKey: "tools", variants: ["on"] }] },
    });
    const stream = follow();
    const first = await stream.until((flags) => flags["more-tools"] !== undefined);
    const listed = (keys: string[]) => ({ in: [{ var: "targetingKey" }, keys] });
    expect(first.tools).toMatchObject({ targeting: { if: [listed(["ann"]), "on"] } });
    expect(first["more-tools"]).toMatchObject({ targeting: { if: [{ "!": [listed(["ann"])] }, "off"] } });
    await admin.changeSegmentKeys({ key: "staff", addIncluded: ["bob"] });
    const second = await stream.next();
    expect(second["more-tools"]).toMatchObject({ targeting: { if: [{ "!": [listed(["ann", "bob"])] }, "off"] } });
    await admin.killFlags({ flagKeys: ["tools"], reason: "test" });
    const third = await stream.next();
    expect(third["more-tools"]).toMatchObject({ defaultVariant: "off" });
    expect(third["more-tools"]).not.toHaveProperty("targeting");
  });

  test("names an environment by header or selector", async () => {
    await serveIn("staging", "dark", "off");
    const variantBy = async (headers: Record<string, string>, selector = "") =>
      (await follow(headers, selector).next()).dark?.defaultVariant;
    expect(await variantBy({})).toBe("on");
    expect(await variantBy({}, "flagSetId=staging")).toBe("off");
    expect(await variantBy({ "flagd-selector": "flagSetId=staging" })).toBe("off");
    expect(await variantBy({ "flagd-selector": "source=staging" }, "flagSetId=production")).toBe("off");
    expect(await variantBy({ "flagwire-environment": "staging" })).toBe("off");
    await expect(follow({ "flagd-selector": "flagSetId=nowhere" }).next()).rejects.toMatchObject({
      code: Code.NotFound,
    });
    await expect(follow({ "flagd-selector": "flag=x" }).next()).rejects.toMatchObject({ code: Code.InvalidArgument });
  });

  test("ends as unavailable when the environment is deleted", async () => {
    await server.admin.createEnvironment({ environment: { name: "preview" } });
    const stream = follow({}, "flagSetId=preview");
    await stream.next();
    await server.admin.deleteEnvironment({ name: "preview" });
    await expect(stream.next()).rejects.toMatchObject({ code: Code.Unavailable });
  });

  test("ends as unavailable when the server stops", async () => {
    await using other = await openTestServer();
    const stream = follow({}, "", other);
    expect(await stream.next()).toEqual({});
    const ended = stream.next();
    const stopped = other.stop();
    await expect(ended).rejects.toMatchObject({ code: Code.Unavailable });
    await stopped;
  });
});

describe("FetchAllFlags", () => {
  test("answers with what was written before", async () => {
    const client = syncClient(server.address);
    for (const variant of ["off", "on", "off", "on"]) {
      await serveIn("production", "dark", variant);
      expect(flagsOf(await client.fetchAllFlags({})).dark?.defaultVariant).toBe(variant);
    }
    expect(flagsOf(await client.fetchAllFlags({ selector: "staging" })).dark?.defaultVariant).toBe("off");
  });

  test("refuses an environment that does not exist", async () => {
    const answer = syncClient(server.address).fetchAllFlags({ selector: "flagSetId=nowhere" });
    await expect(answer).rejects.toMatchObject({ code: Code.NotFound });
  });
});

test("GetMetadata has nothing to add to contexts", async () => {
  expect((await syncClient(server.address).getMetadata({})).metadata).toEqual({});
});

describe("the log", () => {
  const logInto = (lines: unknown[]) => {
    return pino({ level: "warn" }, { write: (line: string) => lines.push(JSON.parse(line)) });
  };

  test("names the flags with shares once: not all clients hash alike", async () => {
    const lines: { flags?: string[]; count?: number; msg: string }[] = [];
    await using own = await openTestServer({ log: logInto(lines) });
    const { address, admin } = own;
    const client = syncClient(address);
    await admin.createFlag({ flag: flagOf("whole", ON_OFF), targeting: enabled("on") });
    await client.fetchAllFlags({});
    expect(lines).toEqual([]);
    const rollout = { shares: ["on", "off"].map((variant) => ({ variant, weight: 1 })) };
    const split = { enabled: true, default: { kind: { case: "rollout" as const, value: rollout } } };
    for (const key of ["split", "split-too"]) {
      await admin.createFlag({ flag: flagOf(key, ON_OFF), targeting: split });
      await client.fetchAllFlags({});
    }
    expect(lines).toMatchObject([{ count: 1, flags: ["split"], msg: expect.stringMatching(/Python .*Rust .*RPC/) }]);
  });

  test("names what flagd cannot express, once, and a payload that is more than clients take", async () => {
    const lines: { level: number; msg: string; flags?: Record<string, string>; count?: number }[] = [];
    await using own = await openTestServer({ log: logInto(lines) });
    const { address, admin } = own;
    const regex = rule(match("email", Operator.MATCHES, ["^a"]), "r", serve("on"));
    await admin.createFlag({ flag: flagOf("odd", ON_OFF), targeting: { ...enabled("off"), rules: [regex] } });
    await admin.createFlag({ flag: flagOf("even", ON_OFF), targeting: enabled("on") });
    const client = syncClient(address);
    expect(Object.keys(flagsOf(await client.fetchAllFlags({})))).toEqual(["even"]);
    await admin.createFlag({ flag: flagOf("third", ON_OFF), targeting: enabled("on") });
    expect(Object.keys(flagsOf(await client.fetchAllFlags({})))).toEqual(["even", "third"]);
    expect(lines.map(({ count, flags }) => ({ count, flags }))).toEqual([
      { count: 1, flags: { odd: "targeting.rules[0].condition.match: flagd has no regular expressions" } },
    ]);
    expect(lines[0]?.msg).toMatch(/cannot express a flag of production.*by RPC/);
    const large = { text: value("x".repeat(900_000)) };
    for (let index = 0; index < 5; index++) {
      const flag = { ...flagOf(`large-${index}`, { text: "" }), variants: large };
      await admin.createFlag({ flag, targeting: enabled("text") });
    }
    const { flagConfiguration } = await client.fetchAllFlags({});
    expect(lines).toHaveLength(2);
    expect(lines[1]).toMatchObject({ sizeBytes: expect.any(Number), limitBytes: 4_194_304 });
    expect(flagConfiguration.length).toBeGreaterThan(4_194_304);
  });
});
