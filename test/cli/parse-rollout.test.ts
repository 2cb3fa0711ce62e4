import { describe, expect, it } from "vitest";
import { CliFailure } from "../../src/cli/failure.js";
import { parseRollout, toPercent } from "../../src/cli/parse-rollout.js";

function complaint(text: string): string {
  try {
    parseRollout(text);
  } catch (error) {
    if (error instanceof CliFailure && error.exitCode === 2) return error.message;
    throw error;
  }
  throw new Error(`${text} was taken`);
}

describe("the shares of a rollout", () => {
  it.each([
    ["0%", 0],
    ["25%", 25_000],
    ["0.001%", 1],
    ["33.3%", 33_300],
    ["100%", 100_000],
    ["100.000%", 100_000],
  ])("are read exactly: %s", (text, weight) => {
    expect(parseRollout(text)).toEqual({ kind: "percent", weight });
  });

  it("are named with percentages, with or without the sign", () => {
    expect(parseRollout("a=33.333, b=66.667%")).toEqual({
      kind: "shares",
      shares: [
        { variant: "a", weight: 33_333 },
        { variant: "b", weight: 66_667 },
      ],
    });
  });

  it("may be of a variant with an equals sign in its name", () => {
    expect(parseRollout("a=b=100")).toEqual({ kind: "shares", shares: [{ variant: "a=b", weight: 100_000 }] });
  });

  it("must sum to 100, and the sum is said", () => {
    expect(complaint("a=30,b=60.5")).toBe("the shares sum to 90.5%, not to 100%");
  });

  it.each(["25", "1.2345%", "-1%", "101%", "100.001%", "x%", "%", "1e1%"])(
    "are refused as a percentage: %s",
    (text) => {
      expect(complaint(text)).toContain("give a percentage from 0% to 100% with up to three decimals and the % sign");
    },
  );

  it.each(["a=", "=100", "a=50,b", "a=x,b=50", "a=50,,b=50"])("are refused as shares: %s", (text) => {
    expect(complaint(text)).toContain("is not VARIANT=PERCENT");
  });

  it("cannot name a variant twice", () => {
    expect(complaint("a=50,a=50")).toBe('the variant "a" has two shares');
  });

  it("are written as they are read", () => {
    expect([toPercent(1), toPercent(33_333), toPercent(1, 3)]).toEqual(["0.001%", "33.333%", "33.333%"]);
  });
});
