import { create, fromJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import { type Flag, FlagKind, FlagSchema, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { type Targeting, TargetingSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import { FlagStateSchema, PositionSchema, WatchItemSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { emptySnapshot } from "../engine/index.js";
import { type Finding, Findings } from "./findings.js";
import { fromTargeting } from "./from-targeting.js";
import { isJsonObject, ownMember, quote } from "./json.js";
import type { Place } from "./place.js";

/** What all flags of a file share. */
export interface FlagScope {
  readonly environment: string;
  readonly evaluators: JsonObject;
  /** The file's own, beneath each flag's. */
  readonly metadata: JsonObject;
}

export type FlagResult =
  | { readonly kind: "refused"; readonly refused: readonly Finding[] }
  | {
      readonly kind: "translated";
      readonly flag: Flag;
      readonly targeting: Targeting;
      readonly warnings: readonly Finding[];
    };

const KEY = /^[A-Za-z0-9._-]{1,128}$/;
const MAX_VARIANTS = 256;
const MAX_NAME_LENGTH = 128;
const MAX_DESCRIPTION_LENGTH = 4_096;
const MAX_METADATA = 64;

/** Translates one flag. Never throws. */
export function fromFlagdFlag(key: string, json: JsonValue, place: Place, scope: FlagScope): FlagResult {
  const findings = new Findings(key);
  if (!KEY.test(key)) findings.refuse(place, "the key must be 1 to 128 characters of A-Z a-z 0-9 . _ -");
  if (!isJsonObject(json)) {
    findings.refuse(place, "is not an object");
    return { kind: "refused", refused: findings.refused };
  }
  const values = parseVariants(json, place, findings);
  const names = new Set(values.keys());
  const flag = create(FlagSchema, {
    key,
    type: typeOf(values, place, findings),
    variants: Object.fromEntries(values),
    kind: FlagKind.OPERATIONAL,
    description: parseDescription(json, place, findings),
    ...parseMetadata(json, scope.metadata, place, findings),
  });
  const fallback = parseDefault(json, names, place, findings);
  const targetingScope = { flagKey: key, variants: names, evaluators: scope.evaluators, findings };
  const targeting = create(TargetingSchema, {
    flagKey: key,
    environment: scope.environment,
    enabled: parseState(json, place, findings),
    rules: fromTargeting(ownMember(json, "targeting") ?? null, place.member("targeting"), targetingScope),
    ...(fallback === undefined ? {} : { default: { kind: { case: "variant" as const, value: fallback } } }),
  });
  if (findings.refused.length === 0) checkCompiles(flag, targeting, place, findings);
  if (findings.refused.length > 0) return { kind: "refused", refused: findings.refused };
  return { kind: "translated", flag, targeting, warnings: findings.warnings };
}

// The engine has the last word: what it takes for malformed must not be imported.
function checkCompiles(flag: Flag, targeting: Targeting, place: Place, findings: Findings): void {
  const item = create(WatchItemSchema, { kind: { case: "flag", value: create(FlagStateSchema, { flag, targeting }) } });
  const snapshot = emptySnapshot(targeting.environment).apply("full", [item], create(PositionSchema));
  for (const { field, description } of snapshot.flag(flag.key)?.problems ?? []) {
    findings.refuse(place, `as ${field}: ${description}`);
  }
}

function parseState(json: JsonObject, place: Place, findings: Findings): boolean {
  const state = ownMember(json, "state");
  if (state !== "ENABLED" && state !== "DISABLED") {
    findings.refuse(place.member("state"), "must be ENABLED or DISABLED");
  }
  return state === "ENABLED";
}

// flagd's sync service sends "" for no default variant.
function parseDefault(
  json: JsonObject,
  names: ReadonlySet<string>,
  place: Place,
  findings: Findings,
): string | undefined {
  const name = ownMember(json, "defaultVariant") ?? "";
  if (name === "") return undefined;
  if (typeof name === "string" && names.has(name)) return name;
  findings.refuse(place.member("defaultVariant"), `the flag has no variant ${quote(name)}`);
  return undefined;
}

function parseDescription(json: JsonObject, place: Place, findings: Findings): string {
  const description = ownMember(json, "description") ?? "";
  if (typeof description === "string" && description.length <= MAX_DESCRIPTION_LENGTH) return description;
  findings.refuse(place.member("description"), `must be text of at most ${MAX_DESCRIPTION_LENGTH} characters`);
  return "";
}

function parseVariants(json: JsonObject, place: Place, findings: Findings): ReadonlyMap<string, Value> {
  const variants = ownMember(json, "variants");
  const values = new Map<string, Value>();
  const at = place.member("variants");
  if (!isJsonObject(variants)) {
    findings.refuse(at, variants === undefined ? "is missing" : "is not a map");
    return values;
  }
  const entries = Object.entries(variants);
  if (entries.length === 0) findings.refuse(at, "at least one variant is required");
  if (entries.length > MAX_VARIANTS) findings.refuse(at, `a flag has at most ${MAX_VARIANTS} variants`);
  for (const [name, value] of entries) {
    const variant = at.member(name);
    // Values of flags are kept in plain objects, in which __proto__ is no ordinary name.
    if (!isVariantName(name) || name === "__proto__") {
      findings.refuse(variant, `the name must be 1 to ${MAX_NAME_LENGTH} characters, none of them a control character`);
    }
    const message = toValue(value);
    if (message === undefined) findings.refuse(variant, "is nested too deep");
    else values.set(name, message);
  }
  return values;
}

function isVariantName(name: string): boolean {
  return name.length >= 1 && name.length <= MAX_NAME_LENGTH && !/\p{Cc}/u.test(name);
}

function toValue(value: JsonValue): Value | undefined {
  try {
    return fromJson(ValueSchema, value);
  } catch {
    // protobuf-es limits how deep JSON may be nested; nothing else in JSON is no Value.
    return undefined;
  }
}

const TYPES: Readonly<Record<string, FlagType>> = {
  boolValue: FlagType.BOOLEAN,
  stringValue: FlagType.STRING,
  numberValue: FlagType.NUMBER,
  structValue: FlagType.OBJECT,
};

function typeOf(values: ReadonlyMap<string, Value>, place: Place, findings: Findings): FlagType {
  let type: FlagType = FlagType.UNSPECIFIED;
  for (const [name, { kind }] of values) {
    const found = TYPES[kind.case ?? ""];
    const at = place.member("variants").member(name);
    if (found === undefined) findings.refuse(at, "is neither a boolean, text, a number nor an object");
    else if (type !== FlagType.UNSPECIFIED && type !== found)
      findings.refuse(at, "has another type than the variants before it");
    else type = found;
  }
  return type;
}

function parseMetadata(
  json: JsonObject,
  shared: JsonObject,
  place: Place,
  findings: Findings,
): { readonly metadata?: JsonObject } {
  const own = ownMember(json, "metadata") ?? {};
  const at = place.member("metadata");
  if (!isJsonObject(own)) {
    findings.refuse(at, "is not a map");
    return {};
  }
  const metadata: [string, JsonValue][] = [];
  for (const [name, value] of Object.entries({ ...shared, ...own })) {
    if (value !== null && typeof value !== "object") metadata.push([name, value]);
    else findings.warn(at.member(name), "is neither text, a number nor a boolean, and is left out");
  }
  if (metadata.length > MAX_METADATA) findings.refuse(at, `a flag has at most ${MAX_METADATA} entries of metadata`);
  return metadata.length === 0 ? {} : { metadata: Object.fromEntries(metadata) };
}
