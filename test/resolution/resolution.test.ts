import { expect, it } from "vitest";
import { toFlatMetadata, toResolutionErrorCode } from "../../src/resolution/index.js";

it.each([
  ["FLAG_NOT_FOUND", "FLAG_NOT_FOUND"],
  ["TYPE_MISMATCH", "TYPE_MISMATCH"],
  ["TARGETING_KEY_MISSING", "TARGETING_KEY_MISSING"],
  ["PROVIDER_NOT_READY", "PROVIDER_NOT_READY"],
  ["MALFORMED_FLAG", "PARSE_ERROR"],
  ["GENERAL", "GENERAL"],
  ["SOMETHING_NEWER", "GENERAL"],
])("our error code %s is OpenFeature's %s", (ours, theirs) => {
  expect(toResolutionErrorCode(ours)).toBe(theirs);
});

it("metadata keep what OpenFeature's can hold", () => {
  const metadata = { team: "web", level: 0, isPublic: false, notes: null, tags: ["a"], owner: { name: "ann" } };
  expect(toFlatMetadata(metadata)).toEqual({ team: "web", level: 0, isPublic: false });
});

it.each([undefined, null, "text", 1])("what is no object has no metadata: %j", (metadata) => {
  expect(toFlatMetadata(metadata)).toEqual({});
});
