import { create, type JsonObject, type JsonValue, toJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import type { Flag } from "../../gen/flagwire/v1/flag_pb.js";
import { type Targeting, TargetingSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import { EXPORT_BUDGET, ExportScope } from "./export-scope.js";
import { type Finding, Findings } from "./findings.js";
import type { FlagSource } from "./flag-source.js";
import { Place } from "./place.js";
import { toFlagdTargeting } from "./to-targeting.js";

/** One flag in flagd's terms. */
export interface FlagdFlag {
  /** Its definition; undefined where flagd cannot express it. */
  readonly definition: JsonObject | undefined;
  /** Why it is left out. Paths are within the flag, its targeting included. */
  readonly left: readonly Finding[];
  /** Where it can answer otherwise in flagd, for contexts that few have or in some languages. */
  readonly warnings: readonly Finding[];
}

/**
 * What a definition is for: a file is kept and read by people, and imported again; what is synced is evaluated and nothing else,
 * and has the form that flagd itself sends.
 */
export type FlagdForm = "file" | "sync";

/**
 * Translates one flag, so that it answers in flagd as it does here, or says why that cannot be. A definition has the
 * members of flagd's schema and no others: one more, such as a description, makes the evaluation in Python refuse the whole
 * file.
 *
 * A disabled flag of flagd answers the caller's own default. One that is off here but has an off variant is therefore
 * written as an enabled one that always answers the off variant.
 */
export function toFlagdFlag(flag: Flag, source: FlagSource, form: FlagdForm): FlagdFlag {
  const findings = new Findings(flag.key);
  for (const { field, description } of source.problems(flag.key)) findings.refuse(new Place(field), description);
  if (Object.hasOwn(flag.metadata ?? {}, "")) {
    findings.refuse(new Place("metadata"), "flagd's evaluation in Python refuses metadata without a name");
  }
  if (findings.refused.length > 0) return { definition: undefined, left: findings.refused, warnings: [] };
  const targeting = source.targeting(flag.key) ?? create(TargetingSchema);
  const { state, defaultVariant, targeting: rules } = toAnswers(flag, targeting, source, findings, form);
  if (findings.refused.length > 0) return { definition: undefined, left: findings.refused, warnings: [] };
  const variants = Object.entries(flag.variants).map(([name, value]) => [name, toJson(ValueSchema, value)]);
  const definition: JsonObject = { state, variants: Object.fromEntries(variants) };
  if (flag.metadata !== undefined) definition.metadata = flag.metadata;
  // As flagd itself sends it. Its schema also knows null, for which the evaluation in Rust refuses the whole file.
  definition.defaultVariant = defaultVariant ?? "";
  if (rules !== undefined) definition.targeting = rules;
  return { definition, left: [], warnings: findings.warnings };
}

/** Of conditions, values and targeting keys; so many keys have the 4 MiB that clients take, or nearly. */
const MAX_SYNCED = 200_000;

interface Answers {
  readonly state: "ENABLED" | "DISABLED";
  /** Null: the caller's own default. */
  readonly defaultVariant: string | null;
  readonly targeting?: JsonValue;
}

function toAnswers(flag: Flag, targeting: Targeting, source: FlagSource, findings: Findings, form: FlagdForm): Answers {
  const isOff = !targeting.enabled || targeting.killed !== undefined;
  if (isOff && targeting.offVariant !== "") return { state: "ENABLED", defaultVariant: targeting.offVariant };
  if (!isOff) {
    const budget = { ...EXPORT_BUDGET, ...(form === "sync" && { own: MAX_SYNCED }) };
    return {
      state: "ENABLED",
      ...toFlagdTargeting(targeting, new ExportScope(flag.key, source, findings, { budget })),
    };
  }
  if (form === "sync") return { state: "DISABLED", defaultVariant: null };
  // The rules of a disabled flag are kept for the day it is enabled, but it can do without.
  const attempt = new Findings(flag.key);
  const rules = toFlagdTargeting(targeting, new ExportScope(flag.key, source, attempt));
  const [problem] = attempt.refused;
  if (problem === undefined) return { state: "DISABLED", ...rules };
  findings.warn(new Place(problem.path), `${problem.description}, so the flag, which is off, is written without rules`);
  return { state: "DISABLED", defaultVariant: null };
}
