import { FlagdCore } from "@openfeature/flagd-core";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { toFlagdFile } from "../../src/flagd/index.js";
import { runs, SEED } from "../engine/arbitrary-words.js";
import { importFile, toSnapshot } from "./evaluate.js";
import { nativeFile, scalarContext } from "./generate-native.js";

const SILENT = { error() {}, warn() {}, info() {}, debug() {} };
const NOW_MS = 1_700_000_000_500;

beforeAll(() => {
  vi.useFakeTimers({ now: NOW_MS, toFake: ["Date"] });
});
afterAll(() => {
  vi.useRealTimers();
});

test(`an exported flag answers alike in flagd, and here when it is imported again (seed ${SEED})`, () => {
  const contexts = fc.array(scalarContext, { minLength: 6, maxLength: 6 });
  const property = fc.property(nativeFile, contexts, (file, subjects) => {
    const exported = toFlagdFile(file, "production");
    expect(exported.left).toEqual([]);
    const text = JSON.stringify(exported.json);
    const flagd = new FlagdCore(undefined, SILENT);
    flagd.setConfigurations(text);
    const imported = importFile(text);
    expect(imported.refused).toEqual([]);
    const original = toSnapshot(file).flag("f");
    const again = toSnapshot(imported.file).flag("f");
    for (const subject of subjects) {
      const expected = original?.select(subject, NOW_MS);
      const theirs = flagd.resolveStringEvaluation("f", "CALLER", subject as never, SILENT);
      const found = {
        flagd: [theirs.variant, theirs.value, theirs.errorCode],
        again: again?.select(subject, NOW_MS).variant,
        subject,
      };
      const { variant } = expected ?? {};
      expect(found).toEqual({ flagd: [variant, expected?.value ?? "CALLER", undefined], again: variant, subject });
    }
  });
  fc.assert(property, runs(1_500));
});
