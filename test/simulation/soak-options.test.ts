import { expect, it } from "vitest";
import { parseSoakOptions } from "./soak-options.js";

it("a soak runs for a minute unless it is told how long, or how many", () => {
  expect(parseSoakOptions([])).toMatchObject({ seconds: 60, seeds: undefined, seed: undefined });
  expect(parseSoakOptions(["--seeds", "10", "--from", "7"])).toMatchObject({ seconds: undefined, seeds: 10, from: 7 });
  expect(parseSoakOptions(["--seconds", "5", "--workers", "2"])).toMatchObject({ seconds: 5, workers: 2 });
});

it("one seed is replayed", () => {
  expect(parseSoakOptions(["--seed", "1234"])).toMatchObject({ seed: 1234 });
});

it("what is no number, or unknown, is named", () => {
  expect(parseSoakOptions(["--seed", "x"])).toBe("--seed is no whole number: x");
  expect(parseSoakOptions(["--seeds", "-1"])).toContain("--seeds");
  expect(parseSoakOptions(["--speed", "1"])).toContain("--speed");
});
