import type { JsonValue } from "@bufbuild/protobuf";
import { TARGETING_KEY } from "./attribute-test.js";
import type { ExportScope } from "./export-scope.js";
import type { Place } from "./place.js";

/** How a rollout or rollout condition hashes. */
export interface Hashing {
  readonly bucketBy: string;
  readonly salt?: string | undefined;
}

/** What `fractional` gets as its first argument (undefined: none, its shorthand), and when there is something to hash. */
export interface FlagdHash {
  readonly input: JsonValue | undefined;
  /** Undefined: `fractional` finds out by itself. */
  readonly guard: JsonValue | undefined;
}

const HASH_WARNING =
  "of an attribute that is no text flagd hashes numbers with a fraction, which count as missing here; booleans, lists and objects are errors in its Go daemon";

const SALT_WARNING =
  "the salt is not ASCII: flagd's evaluations in JavaScript and .NET hash other bytes than UTF-8, and so choose other shares";

/** A hash in flagd's terms. */
export function toFlagdHash(hashing: Hashing, place: Place, scope: ExportScope): FlagdHash {
  const attribute = hashing.bucketBy || TARGETING_KEY;
  const { salt = scope.defaultSalt } = hashing;
  if (salt !== salt.trimStart()) scope.findings.refuse(place, "flagd's Go daemon drops a blank at the start of a salt");
  if (!isAscii(salt)) scope.findings.warn(place, SALT_WARNING);
  const value = scope.variable(attribute, place);
  if (attribute === TARGETING_KEY) {
    if (salt === scope.flagKey) return { input: undefined, guard: undefined };
    return { input: salt === "" ? value : { cat: [salt, value] }, guard: { "!!": [value] } };
  }
  // flagd hashes text only, unless cat makes text of it.
  if (scope.textAttributes.has(attribute) && salt === "") return { input: value, guard: undefined };
  if (!scope.textAttributes.has(attribute)) scope.findings.warn(place, HASH_WARNING);
  const prefix = salt === scope.flagKey ? { var: "$flagd.flagKey" } : salt;
  return { input: { cat: [prefix, value] }, guard: { "!==": [value, null] } };
}

/** Whether there is something to hash. */
export function toPresenceTest({ bucketBy }: Hashing, { guard }: FlagdHash): JsonValue {
  const attribute = bucketBy || TARGETING_KEY;
  return guard ?? (attribute === TARGETING_KEY ? { "!!": [{ var: TARGETING_KEY }] } : true);
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0x7f) return false;
  return true;
}
