import fc from "fast-check";
import { anyText } from "./arbitrary-words.js";

/** Texts of these, some of them with a character or two that were left out, put in or changed; and any texts. */
export function nearly(valid: fc.Arbitrary<string>, characters: string): fc.Arbitrary<string> {
  const character = fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...characters) },
    { weight: 1, arbitrary: anyText },
  );
  const edit = fc.record({ at: fc.nat(40), removed: fc.nat(2), added: fc.oneof(fc.constant(""), character) });
  const edited = fc.tuple(valid, fc.array(edit, { minLength: 1, maxLength: 2 })).map(([text, edits]) =>
    edits.reduce((before, { at, removed, added }) => {
      const index = at % (before.length + 1);
      return before.slice(0, index) + added + before.slice(index + removed);
    }, text),
  );
  return fc.oneof(
    { weight: 4, arbitrary: valid },
    { weight: 4, arbitrary: edited },
    { weight: 1, arbitrary: fc.string({ unit: fc.constantFrom(...characters), maxLength: 30 }) },
    { weight: 1, arbitrary: anyText },
  );
}

/** Some of the digits `0` to `9`. */
export const digits = (maxLength: number) =>
  fc.string({ unit: fc.constantFrom(..."0123456789"), minLength: 1, maxLength });
