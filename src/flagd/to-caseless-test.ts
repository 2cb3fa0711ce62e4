import type { JsonValue } from "@bufbuild/protobuf";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import type { ExportScope } from "./export-scope.js";
import { quote } from "./json.js";
import { allOf, anyOf } from "./logic.js";
import type { Place } from "./place.js";

/** Longer texts would make a definition that nobody can read. */
const MAX_LENGTH = 256;
/** In how many ways a part of a text may be spelled: each is written out. */
const MAX_SPELLINGS = 64;

// The only characters outside ASCII whose lower case has ASCII in it: the Kelvin sign is k, and the dotted capital I is i and
// a dot above, so that it can only stand where a text to look for ends.
const KELVIN_SIGN = "\u212a";
const DOTTED_I = "\u0130";

/**
 * Whether a value, which is known to be text, is, starts with, ends with or contains a text, without regard to case. flagd has
 * nothing like it, so the value's characters are compared one by one with all that have the same lower case.
 */
export function toCaselessTest(
  operator: Operator,
  value: JsonValue,
  text: string,
  place: Place,
  scope: ExportScope,
): JsonValue {
  const lower = text.toLowerCase();
  if (!/^[\0-\x7f]*$/.test(lower)) return scope.leave(place, "flagd cannot ignore the case of text beyond ASCII");
  if (!scope.fits(place, lower.length)) return false;
  if (lower.length > MAX_LENGTH) {
    return scope.leave(place, `flagd cannot ignore the case of a text as long as ${quote(text)}`);
  }
  const { length } = lower;
  switch (operator) {
    case Operator.IN:
      // A part of no length is the whole rest in some implementations.
      if (length === 0) return { "===": [value, ""] };
      return allOf([toCharacterTests(value, spellings(lower, false)), { "===": [part(value, 0, length), value] }]);
    case Operator.STARTS_WITH:
      return toCharacterTests(value, spellings(lower, true));
    case Operator.ENDS_WITH:
      return toCharacterTests({ substr: [value, -length] }, spellings(lower, false));
    case Operator.CONTAINS:
      return toSpelledTest(value, spellings(lower, true), place, scope);
    default:
      return scope.leave(place, "flagd cannot ignore case in a regular expression");
  }
}

/** The characters that each character may be, as they stand in a value. */
function spellings(lower: string, isEndOpen: boolean): readonly (readonly string[])[] {
  return Array.from(lower, (character, index) => {
    const spelled = [character];
    if (character >= "a" && character <= "z") spelled.push(character.toUpperCase());
    if (character === "k") spelled.push(KELVIN_SIGN);
    if (character === "i" && isEndOpen && index === lower.length - 1) spelled.push(DOTTED_I);
    return spelled;
  });
}

// A character that is not there is "" or, in flagd's Go daemon beyond the end, the whole text, which then is too short for
// another character to be found.
function toCharacterTests(value: JsonValue, characters: readonly (readonly string[])[]): JsonValue {
  return allOf(
    characters.map((spelled, index): JsonValue => {
      const character = part(value, index, 1);
      return spelled.length === 1 ? { "===": [character, spelled[0] ?? ""] } : { in: [character, [...spelled]] };
    }),
  );
}

function part(value: JsonValue, start: number, length: number): JsonValue {
  return { substr: [value, start, length] };
}

function toSpelledTest(
  value: JsonValue,
  characters: readonly (readonly string[])[],
  place: Place,
  scope: ExportScope,
): JsonValue {
  let texts = [""];
  for (const spelled of characters) {
    texts = texts.flatMap((start) => spelled.map((character) => start + character));
    if (texts.length <= MAX_SPELLINGS) continue;
    return scope.leave(
      place,
      `flagd cannot ignore case in a part of a text that has more than ${MAX_SPELLINGS} spellings`,
    );
  }
  return anyOf(texts.map((text) => (text === "" ? true : { in: [text, value] })));
}
