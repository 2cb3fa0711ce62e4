import type { JsonValue } from "@bufbuild/protobuf";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { match } from "./attribute-test.js";
import { all, any, type Formula, not } from "./formula.js";

/** What `sem_ver` answers: true where `holds`, false where it does not but is `known`, else null. */
export interface Ternary {
  readonly holds: Formula;
  readonly known: Formula;
}

// Strict semantic versions and, as in flagd, "1" and "1.2".
const NUMBER = "(0|[1-9]\\d{0,14})";
const VERSION = new RegExp(
  `^(?:${NUMBER}(?:\\.${NUMBER})?|${NUMBER}\\.${NUMBER}\\.${NUMBER}(-[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)?(?:\\+[0-9A-Za-z.-]+)?)$`,
);

interface Version {
  readonly text: string;
  readonly major: number;
  readonly minor: number;
}

/** A version as flagd reads a constant: text or a number, with or without a leading `v`. */
export function parseVersion(value: JsonValue): Version | undefined {
  if (typeof value !== "string" && typeof value !== "number") return undefined;
  const match = VERSION.exec(String(value).replace(/^[vV]/, ""));
  if (match === null) return undefined;
  const major = match[1] ?? match[3] ?? "0";
  const minor = match[2] ?? match[4] ?? "0";
  const patch = match[5] ?? "0";
  return { text: `${major}.${minor}.${patch}${match[6] ?? ""}`, major: Number(major), minor: Number(minor) };
}

/** An attribute compared with a version; undefined where flagd does not know the operator, and answers null. */
export function compareVersion(attribute: string, operator: JsonValue, version: Version): Ternary | undefined {
  const test = (o: Operator, text: string): Formula => match(attribute, o, [text]);
  const { text, major, minor } = version;
  const known = any(test(Operator.SEMVER_LESS, text), test(Operator.SEMVER_GREATER_OR_EQUAL, text));
  const equal = test(Operator.SEMVER_EQUAL, text);
  // From the lowest pre-release of one version to below that of the next: pre-releases belong to their version.
  const range = (from: string, to: string): Formula =>
    all(test(Operator.SEMVER_GREATER_OR_EQUAL, `${from}-0`), test(Operator.SEMVER_LESS, `${to}-0`));
  switch (operator) {
    case "=":
      return { holds: equal, known };
    case "!=":
      return { holds: all(known, not(equal)), known };
    case "<":
      return { holds: test(Operator.SEMVER_LESS, text), known };
    case "<=":
      return { holds: test(Operator.SEMVER_LESS_OR_EQUAL, text), known };
    case ">":
      return { holds: test(Operator.SEMVER_GREATER, text), known };
    case ">=":
      return { holds: test(Operator.SEMVER_GREATER_OR_EQUAL, text), known };
    case "^":
      return { holds: range(`${major}.0.0`, `${major + 1}.0.0`), known };
    case "~":
      return { holds: range(`${major}.${minor}.0`, `${major}.${minor + 1}.0`), known };
    default:
      return undefined;
  }
}

/** The operator with its sides exchanged. */
export function mirrorVersionOperator(operator: JsonValue): JsonValue {
  const mirrored: Readonly<Record<string, string>> = { "<": ">", "<=": ">=", ">": "<", ">=": "<=" };
  return typeof operator === "string" ? (mirrored[operator] ?? operator) : operator;
}
