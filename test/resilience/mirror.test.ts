import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ConditionSchema, type Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { openMirror } from "../../src/client/index.js";
import { createWatchHub } from "../../src/watch/index.js";
import { rule } from "../engine/build.js";
import { HubTransport } from "../support/hub-transport.js";
import { booleanFlag } from "../support/items.js";
import { Publisher } from "../support/publisher.js";
import { VirtualClock } from "../support/virtual-clock.js";
import { badServers, openBadServer } from "./bad-servers.js";
import { bootstrap } from "./kept-flags.js";

const quick = { connectTimeoutMs: 300, fallbackAfterMs: 300, backoff: { minMs: 10, maxMs: 20 } };

describe.each(badServers)("a mirror that finds %s", (kind) => {
  it("fails to open in time, and says where it looked", async () => {
    await using bad = await openBadServer(kind);
    await expect(openMirror({ ...quick, address: bad.address })).rejects.toMatchObject({
      kind: "connection",
      message: expect.stringContaining(bad.address),
    });
  });

  it("opens and answers with what was kept", async () => {
    await using bad = await openBadServer(kind);
    await using mirror = await openMirror({ ...quick, address: bad.address, bootstrap });
    expect(mirror.status).toBe("stale");
    expect(mirror.boolean("a", false)).toBe(true);
    expect(mirror.details("b", "mine")).toMatchObject({ value: "mine", errorCode: "FLAG_NOT_FOUND" });
  });

  it("that was opened without waiting answers defaults, be they closed or open", async () => {
    await using bad = await openBadServer(kind);
    await using mirror = await openMirror({ ...quick, address: bad.address, waitForReady: false });
    for (const value of [true, false]) {
      expect(mirror.boolean("a", value)).toBe(value);
      expect(mirror.details("a", value)).toMatchObject({ value, errorCode: "PROVIDER_NOT_READY" });
    }
  });
});

it("a mirror that finds a refusal fails to open at once, with what was kept too", async () => {
  await using bad = await openBadServer("a refusal");
  for (const options of [{}, { bootstrap }]) {
    const opening = openMirror({ ...options, address: bad.address, token: "wrong" });
    await expect(opening).rejects.toMatchObject({ kind: "refused" });
  }
});

it("a flag with an operator that a newer server has is malformed, and alone", async () => {
  const clock = new VirtualClock();
  const hub = createWatchHub({ clock, random: () => 0.5 });
  const newer = booleanFlag("newer", 1);
  const condition = create(ConditionSchema, {
    kind: { case: "match", value: { attribute: "plan", operator: 9_999 as Operator } },
  });
  if (newer.kind.case === "flag") newer.kind.value.targeting?.rules.push(rule(condition, "on"));
  new Publisher(hub, [newer, booleanFlag("known", 1)]);
  await using mirror = await openMirror({ transport: new HubTransport(hub), clock });
  expect(mirror.details("newer", false)).toMatchObject({ value: false, errorCode: "MALFORMED_FLAG" });
  expect(mirror.boolean("known", false)).toBe(true);
});
