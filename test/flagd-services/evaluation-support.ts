import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, vi } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { FlagKind, type FlagSchema, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { RecordSchema } from "../../gen/flagwire/v1/history_pb.js";
import type { Serve, TargetingSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import { recordId } from "../../src/store/index.js";
import { match, rule, serve, serveRollout, value } from "../engine/build.js";
import type { TestServer } from "../support/server.js";

type FlagInit = MessageInitShape<typeof FlagSchema>;
type TargetingInit = MessageInitShape<typeof TargetingSchema>;

const types = { boolean: FlagType.BOOLEAN, string: FlagType.STRING, number: FlagType.NUMBER, object: FlagType.OBJECT };
type Json = Parameters<typeof value>[0];

/** A flag whose variants have these values. */
export function flagOf(key: string, variants: Record<string, Json>, extra: FlagInit = {}): FlagInit {
  const type = types[typeof Object.values(variants)[0] as keyof typeof types];
  const values = Object.fromEntries(Object.entries(variants).map(([name, json]) => [name, value(json)]));
  return { key, type, kind: FlagKind.OPERATIONAL, variants: values, ...extra };
}

/** The methods of flagd's services, by the type of the values that they answer. */
export const RESOLVE_METHODS = {
  boolean: "resolveBoolean",
  string: "resolveString",
  number: "resolveFloat",
  object: "resolveObject",
} as const;

const SOON = { timeout: 15_000, interval: 5 };

/** What will be so, however busy the machine is. */
export function eventually<T>(read: () => T) {
  return expect.poll(read, SOON);
}

export const ON_OFF = { on: true, off: false };

/** Every type, and every way to answer. */
export async function createFlags(server: Pick<TestServer, "admin" | "store" | "evaluation">): Promise<void> {
  const { admin } = server;
  const flags: [FlagInit, TargetingInit][] = [
    [flagOf("bool", ON_OFF, { metadata: { team: "web", level: 2 } }), enabled("on")],
    [flagOf("text", { a: "A", b: "B" }), enabled("a")],
    [flagOf("fraction", { low: 0.5, high: 3.14 }), enabled("high")],
    [flagOf("negative", { n: -2.9 }), enabled("n")],
    [flagOf("whole", { n: 42 }), enabled("n")],
    [flagOf("huge", { n: 2 ** 60 }), enabled("n")],
    [flagOf("object", { full: { list: [1, { deep: null }], name: "x" } }), enabled("full")],
    [flagOf("off", ON_OFF), { enabled: false, offVariant: "off", default: serve("on") }],
    [flagOf("off-bare", ON_OFF), { enabled: false, default: serve("on") }],
    [flagOf("killed", ON_OFF), { enabled: true, offVariant: "off", default: serve("on") }],
    [flagOf("killed-bare", ON_OFF), enabled("on")],
    [flagOf("without-default", ON_OFF), { enabled: true }],
    [
      flagOf("targeted", { a: "A", b: "B" }),
      { ...enabled("a"), rules: [rule(match("plan", Operator.IN, ["gold"]), "gold")] },
    ],
    [flagOf("split", ON_OFF), { enabled: true, default: serveRollout({ shares: [{ variant: "on", weight: 1 }] }) }],
    [
      flagOf("needs", { a: "A", b: "B" }),
      { ...enabled("a"), offVariant: "b", prerequisites: [{ flagKey: "off-bare", variants: ["on"] }] },
    ],
    [flagOf("needs-bare", ON_OFF), { ...enabled("on"), prerequisites: [{ flagKey: "off-bare", variants: ["on"] }] }],
  ];
  for (const [flag, targeting] of flags) await admin.createFlag({ flag, targeting });
  await admin.killFlags({ flagKeys: ["killed", "killed-bare"], reason: "test" });
  await breakFlag(server, "broken");
}

export function enabled(variant: string): { enabled: true; default: Serve } {
  return { enabled: true, default: serve(variant) };
}

/** Leaves a malformed flag in the store, as an older or a newer server may. */
async function breakFlag({ store, evaluation }: Pick<TestServer, "store" | "evaluation">, key: string): Promise<void> {
  const flag = create(RecordSchema, { kind: { case: "flag", value: flagOf(key, ON_OFF) } });
  const targeting = { ...enabled("missing"), flagKey: key, environment: "production" };
  const records = [flag, create(RecordSchema, { kind: { case: "targeting", value: targeting } })];
  const changes = records.flatMap((after) => {
    const id = recordId(after);
    return id === undefined ? [] : [{ id, after }];
  });
  await store.commit({ timeMs: Date.now(), author: "test", comment: "", changes, preconditions: [] });
  await vi.waitFor(async () => {
    const { evaluations } = await evaluation.bulkEvaluate({});
    expect(evaluations.map(({ flagKey }) => flagKey)).toContain(key);
  }, SOON);
}
