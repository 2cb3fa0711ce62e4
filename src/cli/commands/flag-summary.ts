import type { Value } from "@bufbuild/protobuf/wkt";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { type Flag, FlagKind, FlagType } from "../../../gen/flagwire/v1/flag_pb.js";
import type { Serve, Targeting } from "../../../gen/flagwire/v1/targeting_pb.js";
import { printable } from "../../base/index.js";
import { toPercent } from "../parse-rollout.js";
import { toPlainValue } from "../response-document.js";
import { counted } from "../text.js";
import { describeRamp } from "./describe-ramp.js";

/** `boolean`, `string`, … */
export function typeName(type: FlagType): string {
  return FlagType[type]?.toLowerCase() ?? `type ${type}`;
}

export function kindName(kind: FlagKind): string {
  return FlagKind[kind]?.toLowerCase() ?? `kind ${kind}`;
}

/** `on`, `off` or `killed`. */
export function stateOf(targeting: Targeting | undefined): "on" | "off" | "killed" {
  if (targeting?.killed !== undefined) return "killed";
  return targeting?.enabled ? "on" : "off";
}

/** What callers get, in a few words: `on`, `25% on, 75% off`, `2 rules, else off`. */
export function servesOf(targeting: Targeting | undefined): string {
  if (targeting === undefined || stateOf(targeting) !== "on") return variantOrDefault(targeting?.offVariant ?? "");
  const deciding = [
    targeting.prerequisites.length > 0 ? counted(targeting.prerequisites.length, "prerequisite") : undefined,
    targeting.targets.length > 0 ? counted(targeting.targets.length, "target") : undefined,
    targeting.rules.length > 0 ? counted(targeting.rules.length, "rule") : undefined,
  ].filter((text) => text !== undefined);
  const last = describeServe(targeting.default);
  return deciding.length === 0 ? last : `${deciding.join(", ")}, else ${last}`;
}

/** A serve in a few words. */
export function describeServe(serve: Serve | undefined): string {
  const kind = serve?.kind;
  if (kind?.case === "variant") return variantOrDefault(kind.value);
  if (kind?.case !== "rollout") return variantOrDefault("");
  const total = kind.value.shares.reduce((sum, { weight }) => sum + weight, 0);
  return kind.value.shares.map(({ variant, weight }) => `${toPercent(weight, total)} ${variant}`).join(", ");
}

/** A flag and its settings everywhere, a line a fact. */
export function describeFlag(flag: Flag, targetings: readonly Targeting[]): string {
  const facts: [string, string][] = [
    ["key", flag.key],
    ["type", typeName(flag.type)],
    ["kind", kindName(flag.kind)],
    [
      "variants",
      Object.entries(flag.variants)
        .map(([name, value]) => `${name}=${describeValue(value)}`)
        .join(", "),
    ],
    ["description", flag.description],
    ["owner", flag.owner],
    ["tags", flag.tags.join(", ")],
    ["expires", flag.expiresAt === undefined ? "" : timestampDate(flag.expiresAt).toISOString()],
    ["ticket", flag.ticket],
    ["created by", flag.createdBy],
    ["changed by", flag.changedBy],
    ...targetings.map((one): [string, string] => [`in ${one.environment}`, describeTargeting(one)]),
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  return facts
    .filter(([, text]) => text !== "")
    .map(([name, text]) => `${printable(name).padEnd(width)}  ${printable(text)}\n`)
    .join("");
}

export function describeValue(value: Value | undefined): string {
  return value === undefined ? "no value" : JSON.stringify(toPlainValue(value));
}

function describeTargeting(targeting: Targeting): string {
  const killed = targeting.killed;
  const why = killed === undefined ? "" : ` by ${killed.killedBy}: ${killed.reason}`;
  const ramps = targeting.ramps.map((ramp) => `; ${describeRamp(ramp)}`).join("");
  return `${stateOf(targeting)}${why}; serves ${servesOf(targeting)}${ramps}`;
}

function variantOrDefault(variant: string): string {
  return variant === "" ? "the caller's default" : variant;
}
