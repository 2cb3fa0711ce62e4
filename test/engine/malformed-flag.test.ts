import { create } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { ServeSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import { type WatchItem, WatchItemSchema } from "../../gen/flagwire/v1/watch_pb.js";
import {
  all,
  ask,
  type FlagInit,
  fieldsOf,
  flag,
  inSegment,
  match,
  rule,
  serve,
  snapshotOf,
  type TargetingInit,
  value,
} from "./build.js";

/** The fields that a flag is malformed for, having seen that it says so and that another one goes on answering. */
function malformedFields(item: WatchItem): string[] {
  const snapshot = snapshotOf(flag("sound"), item);
  const { errorCode, reason, variant, errorMessage } = ask(snapshot, "x");
  expect({ errorCode, reason, variant }).toEqual({ errorCode: "MALFORMED_FLAG", reason: "ERROR", variant: undefined });
  const [first] = snapshot.flag("x")?.problems ?? [];
  expect(errorMessage).toContain(
    `the flag "x" is malformed: see ${first?.field.replace('["z"]', "").replace('[""]', "")} `,
  );
  expect(ask(snapshot, "sound")).toMatchObject({ variant: "a", reason: "STATIC" });
  expect(fieldsOf(snapshot, "sound")).toEqual([]);
  return fieldsOf(snapshot, "x");
}

const withFlag = (init: FlagInit) => malformedFields(flag("x", {}, init));
const withTargeting = (init: TargetingInit) => malformedFields(flag("x", init));
/** Variants of which only `z` differs from those of a sound flag. */
const variants = (z: Parameters<typeof value>[0]) => ({ a: value("A"), off: value("OFF"), z: value(z) });
const everyone = all();

describe("a flag is malformed", () => {
  test("without a type", () => {
    expect(withFlag({ type: FlagType.UNSPECIFIED })).toEqual(["flag.type"]);
  });

  test("with a type of a newer server", () => {
    expect(withFlag({ type: 99 as FlagType })).toEqual(["flag.type"]);
  });

  test("without variants", () => {
    expect(malformedFields(flag("x", { offVariant: "" }, { variants: {} }))).toEqual([
      "flag.variants",
      "targeting.default.variant",
    ]);
  });

  test("with a variant of another type", () => {
    expect(withFlag({ variants: variants(1) })).toEqual(['flag.variants["z"]']);
  });

  test("with a variant that is null", () => {
    expect(withFlag({ variants: variants(null) })).toEqual(['flag.variants["z"]']);
  });

  test("with a variant that holds nothing", () => {
    expect(withFlag({ variants: { ...variants("Z"), z: create(ValueSchema) } })).toEqual(['flag.variants["z"]']);
  });

  test("with a variant that has no name", () => {
    expect(withFlag({ variants: { ...variants("Z"), "": value("") } })).toEqual(['flag.variants[""]']);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("with a variant that is %d", (number) => {
    const numbers = { a: value(1), off: value(0), z: value(number) };
    expect(withFlag({ type: FlagType.NUMBER, variants: numbers })).toEqual(['flag.variants["z"]']);
  });

  test("with a list where objects belong", () => {
    const objects = { a: value({}), off: value({}), z: value([]) };
    expect(withFlag({ type: FlagType.OBJECT, variants: objects })).toEqual(['flag.variants["z"]']);
  });

  test("with a number deep in an object that JSON cannot hold", () => {
    const objects = { a: value({}), off: value({}), z: value({ list: [{ deep: Number.NaN }] }) };
    expect(withFlag({ type: FlagType.OBJECT, variants: objects })).toEqual(['flag.variants["z"]']);
  });

  test("with an object nested too deep to be sent", () => {
    let nested = value({});
    for (let level = 0; level < 20_000; level++) {
      nested = create(ValueSchema, { kind: { case: "structValue", value: { fields: { nested } } } });
    }
    const objects = { a: value({}), off: value({}), z: nested };
    expect(withFlag({ type: FlagType.OBJECT, variants: objects })).toEqual(['flag.variants["z"]']);
  });

  test("with metadata that JSON cannot hold", () => {
    expect(withFlag({ metadata: { ratio: Number.NaN } })).toEqual(["flag.metadata"]);
  });

  test("with nothing but a targeting", () => {
    const item = create(WatchItemSchema, {
      kind: { case: "flag", value: { targeting: { flagKey: "x", enabled: true } } },
    });
    expect(malformedFields(item)).toEqual(["flag"]);
  });

  test("with an off variant that it does not have", () => {
    expect(withTargeting({ offVariant: "nope" })).toEqual(["targeting.off_variant"]);
  });

  test("with an off variant named like what every object inherits", () => {
    expect(withTargeting({ offVariant: "constructor" })).toEqual(["targeting.off_variant"]);
  });

  test("with a default that it does not have", () => {
    expect(withTargeting({ default: serve("nope") })).toEqual(["targeting.default.variant"]);
  });

  test("with a default of no kind that this version knows", () => {
    expect(withTargeting({ default: {} })).toEqual(["targeting.default"]);
  });

  test("with a target for a variant that it does not have", () => {
    const targets = [
      { variant: "a", targetingKeys: ["u1"] },
      { variant: "nope", targetingKeys: ["u2"] },
    ];
    expect(withTargeting({ targets })).toEqual(["targeting.targets[1].variant"]);
  });

  test("with a target that lists nobody", () => {
    expect(withTargeting({ targets: [{ variant: "a" }] })).toEqual(["targeting.targets[0].targeting_keys"]);
  });

  test("with a rule that names no variant", () => {
    expect(withTargeting({ rules: [rule(everyone, "r", serve(""))] })).toEqual(["targeting.rules[0].serve.variant"]);
  });

  test("with a rule for a variant that it does not have", () => {
    const rules = [rule(everyone), rule(everyone, "s", serve("nope"))];
    expect(withTargeting({ rules })).toEqual(["targeting.rules[1].serve.variant"]);
  });

  test("with a rule that serves nothing", () => {
    expect(withTargeting({ rules: [{ id: "r", condition: everyone }] })).toEqual(["targeting.rules[0].serve"]);
  });

  test("with a rule that serves no kind that this version knows", () => {
    expect(withTargeting({ rules: [rule(everyone, "r", create(ServeSchema))] })).toEqual(["targeting.rules[0].serve"]);
  });

  test("with a rule without a condition", () => {
    expect(withTargeting({ rules: [{ id: "r", serve: serve("b") }] })).toEqual(["targeting.rules[0].condition"]);
  });

  test("with a rule without an id", () => {
    expect(withTargeting({ rules: [rule(everyone, "")] })).toEqual(["targeting.rules[0].id"]);
  });

  test("with two rules of one id", () => {
    const rules = [rule(everyone), rule(everyone, "s"), rule(everyone)];
    expect(withTargeting({ rules })).toEqual(["targeting.rules[2].id"]);
  });

  test("for every reason that it has, not only for the first", () => {
    const item = flag(
      "x",
      { offVariant: "nope", rules: [{ id: "r" }], default: {} },
      { variants: { a: value("A"), z: value(1) } },
    );
    expect(malformedFields(item)).toEqual([
      'flag.variants["z"]',
      "targeting.off_variant",
      "targeting.rules[0].condition",
      "targeting.rules[0].serve",
      "targeting.default",
    ]);
  });

  test("even while it is off, so that switching it on holds no surprise", () => {
    expect(withTargeting({ enabled: false, rules: [{ id: "r", serve: serve("b") }] })).toEqual([
      "targeting.rules[0].condition",
    ]);
  });
});

describe("a flag that is both killed and malformed", () => {
  const killed = { killedBy: "ann", reason: "fire" };

  test("answers its off variant", () => {
    const snapshot = snapshotOf(flag("x", { killed, rules: [{ id: "r", serve: serve("b") }] }));
    expect(ask(snapshot, "x")).toMatchObject({ reason: "KILLED", variant: "off", value: "OFF", errorCode: undefined });
    expect(fieldsOf(snapshot, "x")).toEqual(["targeting.rules[0].condition"]);
  });

  test("answers nothing where it has no off variant", () => {
    const snapshot = snapshotOf(flag("x", { killed, offVariant: "", default: {} }));
    expect(ask(snapshot, "x")).toMatchObject({ reason: "KILLED", variant: undefined, value: undefined });
  });

  test("is MALFORMED_FLAG where the off variant itself does not exist", () => {
    expect(withTargeting({ killed, offVariant: "nope" })).toEqual(["targeting.off_variant"]);
  });

  test("is MALFORMED_FLAG where a variant is of another type", () => {
    expect(malformedFields(flag("x", { killed }, { variants: variants(1) }))).toEqual(['flag.variants["z"]']);
  });
});

describe("what a malformed flag answers tells nothing that the caller may not know:", () => {
  const told = (item: WatchItem) => ask(snapshotOf(item), "x").errorMessage ?? "";

  test("no value of a rule", () => {
    const condition = match("email", Operator.MATCHES, ["top(secret"]);
    const message = told(flag("x", { rules: [rule(condition, "r", serve("b"))] }));
    expect(message).toBe(
      'the flag "x" is malformed: see targeting.rules[0].condition.match.values[0] in an explanation',
    );
  });

  test("no segment", () => {
    expect(told(flag("x", { rules: [rule(inSegment("top-secret"))] }))).not.toContain("secret");
  });

  test("no variant", () => {
    expect(told(flag("x", { default: serve("top-secret") }))).not.toContain("secret");
    expect(told(flag("x", {}, { variants: { ...variants("Z"), "top\nsecret": value(1) } }))).not.toContain("secret");
  });
});

test("a flag without a targeting is off and answers the caller's default", () => {
  const item = create(WatchItemSchema, {
    kind: { case: "flag", value: { flag: { key: "x", type: FlagType.STRING, variants: { a: value("A") } } } },
  });
  expect(ask(snapshotOf(item), "x")).toMatchObject({ reason: "DISABLED", variant: undefined, errorCode: undefined });
});
