import type { JsonValue } from "@bufbuild/protobuf";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { murmur3 } from "../engine/index.js";
import { exists, type HashInput, isHashable, match, TARGETING_KEY } from "./attribute-test.js";
import {
  type Cases,
  casesWhen,
  constantCases,
  MAX_CASES,
  onlyConstant,
  shareCases,
  type Term,
  untilAlways,
} from "./cases.js";
import { ALWAYS, all, type Formula, not } from "./formula.js";
import { isJsonObject, quote } from "./json.js";
import type { Place } from "./place.js";
import type { Translator } from "./translator.js";

const MAX_TOTAL_WEIGHT = 2 ** 31 - 1;
const MAX_SHARES = 256;

/** One `[variant, weight]` of a fractional. */
interface Entry {
  readonly weight: number;
  readonly cases: Cases;
  readonly place: Place;
}

/** What a fractional hashes, under which condition. None: flagd answers null. */
interface Source {
  readonly when: Formula;
  /** A text that is the same for everyone, an attribute with its salt, or nothing, which makes it null. */
  readonly input: string | HashInput | null;
}

/** The bucket of a text: an integer from 0 to below the total weight. */
export function bucketOf(text: string, totalWeight: number): number {
  return Number((BigInt(murmur3(text)) * BigInt(totalWeight)) >> 32n);
}

/**
 * `fractional`, as flagd's Go daemon has it since core 0.15: what is hashed is the first argument if it is text, or the
 * flag's key and the targeting key if there is no such argument or it is null. Everything else, and a missing targeting
 * key, makes it null.
 */
export function translateFractional(argument: JsonValue, place: Place, translator: Translator): Cases {
  if (!Array.isArray(argument)) return translator.refuse(place, "must be a list");
  const [first, ...rest] = argument;
  if (first === undefined) return nullCases(place, "has no entries", translator);
  const [resolved, firstPlace] = translator.resolve(first, place.element(0));
  if (Array.isArray(resolved)) {
    return distribute([shorthand()], argument, 0, place, translator);
  }
  const sources = translateSource(resolved, firstPlace, translator);
  return distribute(sources, rest, 1, place, translator);
}

function distribute(
  sources: readonly Source[],
  list: readonly JsonValue[],
  offset: number,
  place: Place,
  translator: Translator,
): Cases {
  const entries = list.map((entry, index) => translateEntry(entry, place.element(index + offset), translator));
  const invalid = entries.find((entry) => typeof entry === "string");
  if (invalid !== undefined) return nullCases(place, invalid, translator);
  const valid = entries.filter((entry) => typeof entry !== "string");
  const totalWeight = valid.reduce((sum, { weight }) => sum + weight, 0);
  if (totalWeight === 0 || totalWeight > MAX_TOTAL_WEIGHT) {
    return nullCases(place, `has weights of ${totalWeight} in total`, translator);
  }
  if (valid.length > MAX_SHARES) return translator.refuse(place, `has more than ${MAX_SHARES} entries`);
  const caseCount = valid.reduce((sum, entry) => sum + entry.cases.length, 0) * sources.length;
  if (caseCount > MAX_CASES) return translator.refuse(place, `branches into more than ${MAX_CASES} cases`);
  const cases = sources.flatMap(({ when, input }) => casesWhen(when, distributeOver(input, valid, totalWeight, place)));
  return untilAlways([...cases, ...constantCases(null, place)]);
}

function distributeOver(input: Source["input"], entries: readonly Entry[], totalWeight: number, place: Place): Cases {
  if (input === null) return constantCases(null, place);
  if (typeof input === "string") {
    const bucket = bucketOf(input, totalWeight);
    let end = 0;
    for (const { weight, cases } of entries) {
      end += weight;
      if (bucket < end) return cases;
    }
    return constantCases(null, place);
  }
  const shares = entries.map(({ weight, cases, place: entryPlace }) => {
    return { weight, variant: onlyConstant(cases), place: entryPlace };
  });
  const constants = shares.flatMap((s) => (s.variant === undefined ? [] : [{ ...s, variant: s.variant }]));
  if (constants.length < shares.length) return shareCases(input, totalWeight, entries);
  const term: Term = { kind: "split", split: { input, totalWeight, shares: constants } };
  return [{ when: ALWAYS, term, place }];
}

/** An entry, or why flagd answers null. */
function translateEntry(entry: JsonValue, place: Place, translator: Translator): Entry | string {
  const [resolved, entryPlace] = translator.resolve(entry, place);
  if (!Array.isArray(resolved) || resolved.length === 0) return `has the entry ${quote(resolved)} instead of a list`;
  const [variant, weight] = resolved;
  const cases = translator.cases(variant ?? null, entryPlace.element(0));
  const parsed = translateWeight(weight, entryPlace.element(1), translator);
  return typeof parsed === "string" ? parsed : { cases, weight: parsed, place: entryPlace.element(0) };
}

function translateWeight(weight: JsonValue | undefined, place: Place, translator: Translator): number | string {
  if (weight === undefined) return 1;
  const value = onlyConstant(translator.cases(weight, place));
  if (value === undefined) {
    translator.refuse(place, "the weight is computed; a rollout has fixed weights");
    return 1;
  }
  if (value === null) return 1;
  if (typeof value !== "number" || !Number.isInteger(value) || value > MAX_TOTAL_WEIGHT) {
    return `has the weight ${quote(value)}`;
  }
  return Math.max(0, value);
}

function nullCases(place: Place, reason: string, translator: Translator): Cases {
  translator.findings.warn(place, `${reason}, so flagd answers the default variant for everyone; so it does here`);
  return constantCases(null, place);
}

// flagd's shorthand wants a targeting key that is text and not empty, which is what ours always is.
function shorthand(): Source {
  const when = isHashable(TARGETING_KEY);
  // The salt that a rollout has unless it is set is the flag's key.
  return { when, input: { attribute: TARGETING_KEY, salt: undefined } };
}

function translateSource(first: JsonValue, place: Place, translator: Translator): readonly Source[] {
  if (isJsonObject(first) && Object.keys(first).length === 1 && first.cat !== undefined) {
    return translateConcatenation(first.cat, place.member("cat"), translator);
  }
  const sources: Source[] = [];
  for (const { when, term, place: casePlace } of translator.cases(first, place)) {
    sources.push(...termSources(term, casePlace, translator).map((s) => ({ ...s, when: all(when, s.when) })));
    sources.push({ when, input: null });
  }
  return sources;
}

function termSources(term: Term, place: Place, translator: Translator): readonly Source[] {
  if (term.kind === "constant") {
    if (typeof term.value === "string") return [{ when: ALWAYS, input: term.value }];
    return term.value === null ? [shorthand()] : [];
  }
  if (term.kind !== "attribute") {
    translator.refuse(place, "hashes something other than an attribute or a constant");
    return [];
  }
  const input = { attribute: term.name, salt: "" };
  if (term.name === TARGETING_KEY) return [{ when: isHashable(TARGETING_KEY), input }];
  // A number or boolean can be hashed here but makes flagd answer null.
  const isText = all(match(term.name, Operator.STARTS_WITH, [""]), isHashable(term.name));
  const source = { when: isText, input };
  if (term.isPresent) return [source];
  const byTargetingKey = shorthand();
  return [source, { ...byTargetingKey, when: all(not(exists(term.name)), byTargetingKey.when) }];
}

/** `cat` of constants and at most one attribute, at the end: a salt and what it is prefixed to. */
function translateConcatenation(argument: JsonValue, place: Place, translator: Translator): readonly Source[] {
  const parts = Array.isArray(argument) ? argument : [argument];
  let prefix = "";
  for (const [index, part] of parts.entries()) {
    const partPlace = Array.isArray(argument) ? place.element(index) : place;
    const cases = translator.cases(part, partPlace);
    const value = onlyConstant(cases);
    if (value !== undefined) {
      prefix += concatenated(value, partPlace, translator);
      continue;
    }
    const [only] = cases;
    if (cases.length !== 1 || only?.term.kind !== "attribute" || index !== parts.length - 1) {
      translator.refuse(
        partPlace,
        "only the last part of cat may come from the context, and as an attribute without default",
      );
      return [];
    }
    return concatenatedWith(only.term.name, prefix, place, translator);
  }
  return [{ when: ALWAYS, input: prefix.trim() }];
}

function concatenated(value: JsonValue, place: Place, translator: Translator): string {
  if (value === null) return "";
  if (typeof value === "string" || typeof value === "number") return String(value);
  translator.refuse(place, `cat of ${quote(value)} is an error in flagd`);
  return "";
}

// A missing attribute adds nothing: everyone without it has the same bucket, that of the prefix.
function concatenatedWith(attribute: string, prefix: string, place: Place, translator: Translator): readonly Source[] {
  if (prefix !== prefix.trimStart()) {
    translator.refuse(place, "starts with a blank, which flagd's Go daemon drops and its JavaScript evaluation keeps");
    return [];
  }
  const salt = prefix === translator.flagKey ? undefined : prefix;
  return [
    { when: isHashable(attribute), input: { attribute, salt } },
    { when: not(exists(attribute)), input: prefix.trim() },
  ];
}
