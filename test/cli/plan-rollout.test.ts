import type { MessageInitShape } from "@bufbuild/protobuf";
import { create, fromJson } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { FlagSchema } from "../../gen/flagwire/v1/flag_pb.js";
import { RolloutAlgorithm, type RolloutSchema } from "../../gen/flagwire/v1/rollout_pb.js";
import { type Targeting, TargetingSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import { parseRollout } from "../../src/cli/parse-rollout.js";
import { planRollout } from "../../src/cli/plan-rollout.js";

const switchFlag = fromJson(FlagSchema, { key: "f", variants: { on: true, off: false } });
const threeWay = fromJson(FlagSchema, { key: "f", variants: { a: "1", b: "2", c: "3" } });

function serving(rollout: MessageInitShape<typeof RolloutSchema>): Targeting {
  return create(TargetingSchema, { default: { kind: { case: "rollout", value: rollout } } });
}

function sharesOf(rollout: { readonly shares: readonly { variant: string; weight: number }[] }): string {
  return rollout.shares.map(({ variant, weight }) => `${variant}=${weight}`).join(" ");
}

describe("a planned rollout", () => {
  it("gives a boolean flag's percentage to the variant that is true", () => {
    expect(sharesOf(planRollout(switchFlag, undefined, parseRollout("12.5%"), undefined))).toBe("on=12500 off=87500");
  });

  it("is still a rollout at 100%, so that it can shrink again without moving anybody", () => {
    expect(sharesOf(planRollout(switchFlag, undefined, parseRollout("100%"), undefined))).toBe("on=100000 off=0");
  });

  it("keeps the order of the shares that are served", () => {
    const current = serving({
      shares: [
        { variant: "c", weight: 1 },
        { variant: "a", weight: 1 },
        { variant: "b", weight: 1 },
      ],
    });
    const rollout = planRollout(threeWay, current, parseRollout("a=50,b=30,c=20"), undefined);
    expect(sharesOf(rollout)).toBe("c=20000 a=50000 b=30000");
  });

  it("puts new variants after those that are served", () => {
    const current = serving({ shares: [{ variant: "b", weight: 1 }] });
    expect(sharesOf(planRollout(threeWay, current, parseRollout("a=10,b=90"), undefined))).toBe("b=90000 a=10000");
  });

  it("keeps salt, attribute and algorithm", () => {
    const algorithm = RolloutAlgorithm.MURMUR3_32;
    const current = serving({ shares: [{ variant: "on", weight: 1 }], salt: "", bucketBy: "company", algorithm });
    const rollout = planRollout(switchFlag, current, parseRollout("5%"), undefined);
    expect(rollout).toMatchObject({ salt: "", bucketBy: "company", algorithm });
  });

  it("hashes another attribute if asked to", () => {
    const current = serving({ shares: [{ variant: "on", weight: 1 }], bucketBy: "company" });
    expect(planRollout(switchFlag, current, parseRollout("5%"), "team").bucketBy).toBe("team");
  });

  it("is refused as a percentage of a flag that is not boolean, with the form that works", () => {
    expect(() => planRollout(threeWay, undefined, parseRollout("5%"), undefined)).toThrow(
      "flagwire rollout f a=30,b=70",
    );
  });

  it("is refused for a variant that the flag does not have", () => {
    expect(() => planRollout(threeWay, undefined, parseRollout("a=50,x=50"), undefined)).toThrow(
      'f has no variant "x"; it has a, b, c',
    );
  });
});
