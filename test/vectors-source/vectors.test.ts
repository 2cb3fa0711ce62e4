import { readdirSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { bucketOf, hashesBelow, keyWithHash, murmur3 } from "./murmur3.js";
import { toText } from "./vector-file.js";
import { sources } from "./vectors.js";

const folder = resolve(import.meta.dirname, "../vectors");
const files = Object.entries(sources).map(([name, make]) => ({ name, made: make() }));

describe("test/vectors", () => {
  test.each(files)("$name is what its source makes: npm test -- test/vectors-source -u", async ({ name, made }) => {
    await expect(toText(made)).toMatchFileSnapshot(resolve(folder, name));
  });

  test("has no other files", () => {
    expect(readdirSync(folder).sort()).toEqual(["README.md", ...Object.keys(sources)].sort());
  });

  test.each(files)("$name reads back as it was made", ({ made }) => {
    expect(JSON.parse(toText(made))).toEqual(made);
  });

  test("have no key twice, so that all of them fit into one server", () => {
    const keysOf = (items: readonly { readonly key?: unknown }[]) => items.map(({ key }) => key);
    for (const kind of ["flags", "segments"] as const) {
      const keys = files.flatMap(({ made }) => keysOf(made.file[kind]));
      expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toEqual([]);
    }
  });

  test("ask every flag but those that are refused and no more", () => {
    for (const { made } of files) {
      const asked = new Set(made.cases.map(({ flagKey }) => flagKey));
      const flags = made.file.flags.map(({ key }) => String(key));
      const left = flags.filter((key) => !asked.has(key) && !made.refused?.flags.includes(key));
      // Those that only others ask for.
      const named = JSON.stringify(made.file.targetings);
      expect(left.filter((key) => !named.includes(`"flagKey":"${key}","variants"`))).toEqual([]);
    }
  });
});

describe("the sources' murmur3", () => {
  // Computed with other implementations.
  test.each([
    ["", 0],
    ["hello", 613_153_351],
    ["fractional-flagjack", 2_682_799_072],
    ["headerColorjoey@faas.com", 309_582_631],
    ["日本語", 2_779_017_879],
    ["😀", 3_199_479_546],
    ["Łódź", 791_561_411],
    ["ceQdGm", 4_294_967_295],
  ])("hashes %j", (text, hash) => {
    expect(murmur3(text)).toBe(hash);
  });

  test.each(["", "s", "sa", "sal", "salt", "größe 日本😀"])("finds texts of a hash after the salt %j", (salt) => {
    for (const hash of [0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 1_431_655_765]) {
      expect(murmur3(salt + keyWithHash(hash, salt))).toBe(hash);
    }
  });

  test("finds the hashes on both sides of a limit", () => {
    for (const total of [1, 3, 100, 100_000, 2 ** 31 - 1]) {
      for (const limit of [1, Math.ceil(total / 3), total]) {
        const first = hashesBelow(limit, total);
        expect(bucketOf(first - 1, total)).toBeLessThan(limit);
        if (first < 2 ** 32) expect(bucketOf(first, total)).toBeGreaterThanOrEqual(limit);
      }
    }
  });
});
