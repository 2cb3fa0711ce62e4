import { type JsonObject, toJsonString } from "@bufbuild/protobuf";
import { FlagdCore } from "@openfeature/flagd-core";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import type { FlagFile } from "../../gen/flagwire/v1/history_pb.js";
import { type Targeting, TargetingSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import { flagTypeName, type Snapshot } from "../../src/engine/index.js";
import { type FlagSource, toFlagdFile, toFlagdFlag } from "../../src/flagd/index.js";
import { runs, SEED } from "../engine/arbitrary-words.js";
import { toSnapshot } from "./evaluate.js";
import { mail, modelFile } from "./generate-model.js";
import { scalarContext } from "./generate-native.js";
import { oddContext, oddFile } from "./generate-odd.js";

const SILENT = { error() {}, warn() {}, info() {}, debug() {} };
const NOW_MS = 1_700_000_000_500;

beforeAll(() => {
  vi.useFakeTimers({ now: NOW_MS, toFake: ["Date"] });
});
afterAll(() => {
  vi.useRealTimers();
});

/** What callers pass as their own default: no variant has it. */
const DEFAULTS = { boolean: false, string: "CALLER", number: 42, object: { caller: true } } as const;

function askFlagd(flagd: FlagdCore, key: string, type: string, context: object) {
  switch (type) {
    case "boolean":
      return flagd.resolveBooleanEvaluation(key, DEFAULTS.boolean, context as never, SILENT);
    case "number":
      return flagd.resolveNumberEvaluation(key, DEFAULTS.number, context as never, SILENT);
    case "string":
      return flagd.resolveStringEvaluation(key, DEFAULTS.string, context as never, SILENT);
    default:
      return flagd.resolveObjectEvaluation(key, DEFAULTS.object, context as never, SILENT);
  }
}

/** Whether what another flag answers is written into this one, because it is not always the same. */
function isInlined(definition: unknown, { prerequisites }: Targeting): boolean {
  const { targeting } = definition as { targeting?: { if: unknown[] } };
  const [condition] = targeting?.if ?? [];
  return prerequisites.length > 0 && JSON.stringify(condition ?? null).startsWith('{"!":');
}

/** How often flags of each kind were exported, and so compared, or left out. */
class Tally {
  readonly counts = new Map<string, number>();

  add(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }

  addFlag(file: FlagFile, key: string, definition: unknown): void {
    this.add(definition === undefined ? "left out" : "exported");
    const targeting = file.targetings.find(({ flagKey }) => flagKey === key);
    if (definition === undefined || targeting === undefined) return;
    const text = toJsonString(TargetingSchema, targeting);
    if (!targeting.enabled) this.add("disabled");
    if (targeting.killed !== undefined) this.add("killed");
    if (!targeting.enabled || targeting.killed !== undefined) return;
    if (targeting.prerequisites.length > 0) this.add("prerequisites");
    if (isInlined(definition, targeting)) this.add("prerequisites inlined");
    if (targeting.targets.length > 0) this.add("targets");
    if (text.includes('"segment"')) this.add("segments");
    if (text.includes('"rollout"')) this.add("rollouts");
    if (text.includes('"ignoreCase":true')) this.add("ignoring case");
  }
}

function typeOf(snapshot: Snapshot, key: string): string {
  return flagTypeName(snapshot.flag(key)?.type ?? 0)?.toLowerCase() ?? "";
}

test(`every flag that is exported answers in flagd as it does here (seed ${SEED})`, () => {
  const tally = new Tally();
  const contexts = fc.array(
    fc.tuple(scalarContext, mail).map(([context, text]) => (text === undefined ? context : { ...context, mail: text })),
    { minLength: 6, maxLength: 6 },
  );
  const property = fc.property(modelFile, contexts, (file, subjects) => {
    const { json, left } = toFlagdFile(file, "production");
    const flagd = new FlagdCore(undefined, SILENT);
    flagd.setConfigurations(JSON.stringify(json));
    const snapshot = toSnapshot(file);
    const exported = json.flags as JsonObject;
    const unexported = new Set(left.map(({ key }) => key));
    for (const { key, select, problems } of snapshot.flags()) {
      expect(problems).toEqual([]);
      tally.addFlag(file, key, exported[key]);
      if (unexported.has(key)) {
        expect(flagd.getFlag(key)).toBeUndefined();
        continue;
      }
      const type = typeOf(snapshot, key) as keyof typeof DEFAULTS;
      for (const subject of subjects) {
        const { variant, value, reason } = select(subject, NOW_MS);
        const theirs = askFlagd(flagd, key, type, subject);
        const found = { key, subject, variant: theirs.variant, value: theirs.value, error: theirs.errorCode };
        const expected = variant === undefined ? DEFAULTS[type] : value;
        expect(found).toEqual({ key, subject, variant, value: expected, error: undefined });
        tally.add("answers compared");
        if (reason === "PREREQUISITE_FAILED") tally.add("answers short of a prerequisite");
      }
    }
  });
  fc.assert(property, runs(500));
  const lines = [...tally.counts].sort(([, a], [, b]) => b - a).map(([name, count]) => `  ${count}  ${name}`);
  console.info([`flags exported to flagd (seed ${SEED})`, ...lines].join("\n"));
  for (const kind of [
    "prerequisites inlined",
    "targets",
    "segments",
    "rollouts",
    "ignoring case",
    "disabled",
    "killed",
  ]) {
    expect(tally.counts.get(kind), kind).toBeGreaterThan(20);
  }
  expect(tally.counts.get("left out")).toBeGreaterThan(20);
  expect(tally.counts.get("answers short of a prerequisite")).toBeGreaterThan(200);
});

const FOREIGN = ["UNSPECIFIED", "MATCHES", "IN_CIDR", "AFTER"];
const EXPRESSIBLE = Object.keys(Operator).filter((name) => /^[A-Z]/.test(name) && !FOREIGN.includes(name));

/** The operators of the rules of a flag that is on. */
function operatorsOf(targeting: Targeting | undefined): string[] {
  if (!targeting?.enabled || targeting.killed) return [];
  const text = toJsonString(TargetingSchema, targeting);
  return [...text.matchAll(/"OPERATOR_(\w+)"/g)].map(([, operator = ""]) => operator);
}

/** What the sync service sends of a file, and which flags it leaves out. */
function toSynced(file: FlagFile, snapshot: Snapshot) {
  const source: FlagSource = {
    flag: (key) => file.flags.find((flag) => flag.key === key),
    targeting: (key) => file.targetings.find(({ flagKey }) => flagKey === key),
    segment: (key) => file.segments.find((segment) => segment.key === key),
    problems: (key) => snapshot.flag(key)?.problems ?? [],
  };
  const translated = file.flags.map((flag) => ({ key: flag.key, ...toFlagdFlag(flag, source, "sync") }));
  const sent = translated.filter(({ definition }) => definition !== undefined);
  return { translated, json: { flags: Object.fromEntries(sent.map(({ key, definition }) => [key, definition])) } };
}

test(`odd names, values and contexts make no difference in what is synced (seed ${SEED})`, () => {
  const tally = new Tally();
  const contexts = fc.array(oddContext, { minLength: 6, maxLength: 6 });
  const property = fc.property(oddFile, contexts, (file, subjects) => {
    const snapshot = toSnapshot(file);
    const { translated, json } = toSynced(file, snapshot);
    const flagd = new FlagdCore(undefined, SILENT);
    flagd.setConfigurations(JSON.stringify(json));
    for (const { key, definition, left } of translated) {
      const flag = snapshot.flag(key);
      expect(flag?.problems).toEqual([]);
      tally.addFlag(file, key, definition);
      if (definition === undefined) {
        expect(left.map((finding) => finding.key)).toContain(key);
        continue;
      }
      for (const operator of operatorsOf(file.targetings.find(({ flagKey }) => flagKey === key))) tally.add(operator);
      const type = typeOf(snapshot, key) as keyof typeof DEFAULTS;
      for (const subject of subjects) {
        const { variant, value, metadata } = flag?.select(subject, NOW_MS) ?? {};
        const theirs = askFlagd(flagd, key, type, subject);
        const found = [theirs.variant, theirs.value, theirs.flagMetadata, theirs.errorCode];
        const expected = [variant, variant === undefined ? DEFAULTS[type] : value, metadata, undefined];
        expect({ key, subject, found }).toEqual({ key, subject, found: expected });
        tally.add(`answers: ${type}`);
      }
    }
  });
  fc.assert(property, runs(150));
  const lines = [...tally.counts].sort(([, a], [, b]) => b - a).map(([name, count]) => `  ${count}  ${name}`);
  console.info([`odd flags synced to flagd (seed ${SEED})`, ...lines].join("\n"));
  for (const type of Object.keys(DEFAULTS)) expect(tally.counts.get(`answers: ${type}`), type).toBeGreaterThan(200);
  for (const operator of EXPRESSIBLE) expect(tally.counts.get(operator), operator).toBeGreaterThan(5);
});
