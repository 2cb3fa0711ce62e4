import { create } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { type Condition, ConditionSchema, Operator } from "../../gen/flagwire/v1/condition_pb.js";
import type { RolloutAlgorithm } from "../../gen/flagwire/v1/rollout_pb.js";
import type { Serve } from "../../gen/flagwire/v1/targeting_pb.js";
import {
  all,
  any,
  ask,
  fieldsOf,
  flag,
  match,
  not,
  rule,
  serveRollout,
  share,
  snapshotOf,
  unsetCondition,
} from "./build.js";

const RULE = "targeting.rules[0].condition";
const MATCH = `${RULE}.match`;

/** The fields that a rule's condition makes its flag malformed for, having seen that another flag goes on answering. */
function conditionFields(condition: Condition): string[] {
  const snapshot = snapshotOf(flag("sound"), flag("x", { rules: [rule(condition)] }));
  const fields = fieldsOf(snapshot, "x");
  expect(ask(snapshot, "x", { plan: "pro" }).errorCode).toBe(fields.length > 0 ? "MALFORMED_FLAG" : undefined);
  expect(ask(snapshot, "sound")).toMatchObject({ variant: "a", reason: "STATIC" });
  return fields;
}

const deep = (levels: number): Condition => (levels === 1 ? all() : not(deep(levels - 1)));

describe("a condition is refused", () => {
  test("if it is of a kind that this version does not know", () => {
    expect(conditionFields(unsetCondition())).toEqual([RULE]);
  });

  test("wherever it stands in the tree", () => {
    expect(conditionFields(all(all(), any(not(unsetCondition()), unsetCondition())))).toEqual([
      `${RULE}.all.conditions[1].any.conditions[0].not`,
      `${RULE}.all.conditions[1].any.conditions[1]`,
    ]);
  });

  test("beyond 32 levels", () => {
    expect(conditionFields(deep(32))).toEqual([]);
    expect(conditionFields(deep(33))).toEqual([`${RULE}${".not".repeat(32)}`]);
  });

  test("thousands of levels deep, without exhausting the stack", () => {
    let condition = all();
    for (let level = 0; level < 50_000; level++) condition = not(condition);
    expect(conditionFields(condition)).toEqual([`${RULE}${".not".repeat(32)}`]);
  });

  test("if it is wider than an evaluation may take, without exhausting the stack", () => {
    const conditions = new Array<Condition>(300_000).fill(all());
    const wide = create(ConditionSchema, { kind: { case: "any", value: { conditions } } });
    expect(conditionFields(wide)).toEqual(["targeting"]);
  });

  test("for a match without an attribute", () => {
    expect(conditionFields(match("", Operator.IN, ["x"]))).toEqual([`${MATCH}.attribute`]);
  });

  test("for a match without an operator", () => {
    expect(conditionFields(match("plan", Operator.UNSPECIFIED, ["x"]))).toEqual([`${MATCH}.operator`]);
  });

  test("for an operator of a newer server, never silently false", () => {
    expect(conditionFields(not(match("plan", 99 as Operator, ["x"])))).toEqual([`${RULE}.not.match.operator`]);
    expect(conditionFields(match("plan", 99 as Operator, [], { ignoreCase: true }))).toEqual([`${MATCH}.operator`]);
  });

  test("for a match that lacks both attribute and values, naming both", () => {
    expect(conditionFields(match("", Operator.EQUAL, []))).toEqual([`${MATCH}.attribute`, `${MATCH}.values`]);
  });

  test("for EXISTS with values", () => {
    expect(conditionFields(match("plan", Operator.EXISTS, ["x"]))).toEqual([`${MATCH}.values`]);
  });
});

const OPERATORS = Object.values(Operator).filter((operator): operator is Operator => typeof operator === "number");
const KNOWN = OPERATORS.filter((operator) => operator !== Operator.UNSPECIFIED && operator !== Operator.EXISTS);
const named = (operators: readonly Operator[]) => operators.map((operator) => [Operator[operator], operator] as const);

describe("values that no operator compares are refused", () => {
  test.each(named(KNOWN))("%s without values", (_name, operator) => {
    expect(conditionFields(match("plan", operator, []))).toEqual([`${MATCH}.values`]);
  });

  test.each(named(KNOWN))("%s with null, an object, a list, NaN, infinity or nothing at all", (_name, operator) => {
    const condition = match("plan", operator, [null, {}, ["x"], Number.NaN, Number.POSITIVE_INFINITY]);
    if (condition.kind.case === "match") condition.kind.value.values.push(create(ValueSchema));
    expect(conditionFields(condition)).toEqual([0, 1, 2, 3, 4, 5].map((index) => `${MATCH}.values[${index}]`));
  });
});

/** What each operator refuses at index 1 after a value that it takes. */
const LITERALS: readonly [operator: Operator, good: string | number, bad: readonly (string | number | boolean)[]][] = [
  [Operator.CONTAINS, "x", [1, true]],
  [Operator.STARTS_WITH, "x", [1, false]],
  [Operator.ENDS_WITH, "x", [0, true]],
  [Operator.MATCHES, "^x", [1, true, "(", "a{1001}", "(?=x)", "(?<!x)y", "\\1", "[z-a]", "*", "x".repeat(1_025)]],
  [Operator.EQUAL, 1, ["1", true]],
  [Operator.LESS, 1, ["1", true]],
  [Operator.LESS_OR_EQUAL, 1, ["1", false]],
  [Operator.GREATER, 1, ["", true]],
  [Operator.GREATER_OR_EQUAL, 1, ["one", true]],
  ...[Operator.BEFORE, Operator.AFTER].map((operator): (typeof LITERALS)[number] => [
    operator,
    "2026-01-31T00:00:00Z",
    [true, "", "tomorrow", "2026-01-31", "2026-01-31T00:00:00", "2026-02-30T00:00:00Z", "2026-01-31T24:00:00Z"],
  ]),
  ...[
    Operator.SEMVER_EQUAL,
    Operator.SEMVER_LESS,
    Operator.SEMVER_LESS_OR_EQUAL,
    Operator.SEMVER_GREATER,
    Operator.SEMVER_GREATER_OR_EQUAL,
  ].map((operator): (typeof LITERALS)[number] => [
    operator,
    "1.2.3-rc.1+build",
    [1, true, "", "latest", "1.2.3.4", "01.2.3", "1.2.3-01", "1.2.3-", "1..2", "^1.2.3", " 1.2.3"],
  ]),
  [
    Operator.IN_CIDR,
    "10.0.0.0/8",
    [1, true, "", "10.0.0.0/33", "10.0.0/8", "10.0.0.256", "010.0.0.1", "10.0.0.0/", "10.0.0.0/8/8", "10.0.0.0/-1"],
  ],
  [Operator.IN_CIDR, "2001:db8::/32", ["2001:db8::/129", "::1::", ":::", "1:2:3:4:5:6:7", "g::", "fe80::1%eth0"]],
  [
    Operator.IN_CIDR,
    "::ffff:10.0.0.0/104",
    ["1:2:3:4:5:6:7::8", "10.0.0.0::", "1:10.0.0.0::1", "::10.0.0", "1:2:3:4:5:6:7:10.0.0.0"],
  ],
];

describe("a value that its operator cannot compare is refused under its own path", () => {
  const cases = LITERALS.flatMap(([operator, good, bad]) =>
    bad.map((literal) => [Operator[operator], literal, operator, good] as const),
  );
  test.each(cases)("%s %j", (_name, literal, operator, good) => {
    expect(conditionFields(match("plan", operator, [good, literal]))).toEqual([`${MATCH}.values[1]`]);
    expect(conditionFields(match("plan", operator, [good, good]))).toEqual([]);
  });

  test("IN takes strings, numbers and booleans at once", () => {
    expect(conditionFields(match("plan", Operator.IN, ["x", 1, true]))).toEqual([]);
  });
});

describe("ignore_case", () => {
  const TEXT = [Operator.IN, Operator.CONTAINS, Operator.STARTS_WITH, Operator.ENDS_WITH, Operator.MATCHES];
  const OTHERS = LITERALS.filter(([operator]) => !TEXT.includes(operator));

  test.each(named(TEXT))("goes with %s", (_name, operator) => {
    expect(conditionFields(match("plan", operator, ["x"], { ignoreCase: true }))).toEqual([]);
  });

  test.each(OTHERS.map(([operator, good]) => [Operator[operator], operator, good] as const))(
    "is refused with %s",
    (_name, operator, good) => {
      expect(conditionFields(match("plan", operator, [good], { ignoreCase: true }))).toEqual([`${MATCH}.ignore_case`]);
    },
  );

  test("is refused with EXISTS", () => {
    expect(conditionFields(match("plan", Operator.EXISTS, [], { ignoreCase: true }))).toEqual([`${MATCH}.ignore_case`]);
  });
});

describe("long lists of values", () => {
  const keys = Array.from({ length: 100_000 }, (_, index) => `user-${index}`);

  test("of IN cost one look-up, however many rules have one", () => {
    const rules = ["r1", "r2", "r3"].map((id) => rule(match("id", Operator.IN, keys), id));
    expect(fieldsOf(snapshotOf(flag("x", { rules })), "x")).toEqual([]);
  });

  test("of other operators are compared one by one, and refused beyond what an evaluation may take", () => {
    const rules = ["r1", "r2", "r3"].map((id) => rule(match("id", Operator.STARTS_WITH, keys), id));
    expect(fieldsOf(snapshotOf(flag("x", { rules: rules.slice(0, 1) })), "x")).toEqual([]);
    expect(fieldsOf(snapshotOf(flag("x", { rules })), "x")).toEqual(["targeting"]);
  });
});

const MAX_WEIGHT = 2 ** 31 - 1;

describe("a rollout is refused", () => {
  const ROLLOUT = "targeting.default.rollout";

  function serveFields(served: Serve): string[] {
    const snapshot = snapshotOf(flag("sound"), flag("x", { default: served }));
    expect(ask(snapshot, "x", { targetingKey: "u1" }).errorCode).toBe("MALFORMED_FLAG");
    expect(ask(snapshot, "sound").variant).toBe("a");
    return fieldsOf(snapshot, "x");
  }

  const shares = [
    { variant: "a", weight: 50 },
    { variant: "b", weight: 50 },
  ];

  test("if a share names no variant of the flag", () => {
    const named = [...shares, { variant: "nope", weight: 1 }, { weight: 1 }];
    expect(serveFields(serveRollout({ shares: named }))).toEqual([
      `${ROLLOUT}.shares[2].variant`,
      `${ROLLOUT}.shares[3].variant`,
    ]);
  });

  test("if a share of weight 0 names no variant of the flag", () => {
    expect(serveFields(serveRollout({ shares: [...shares, { variant: "nope" }] }))).toEqual([
      `${ROLLOUT}.shares[2].variant`,
    ]);
  });

  test("without shares", () => {
    expect(serveFields(serveRollout({}))).toEqual([`${ROLLOUT}.shares`]);
  });

  test("if its weights sum to 0", () => {
    expect(serveFields(serveRollout({ shares: [{ variant: "a" }, { variant: "b" }] }))).toEqual([`${ROLLOUT}.shares`]);
  });

  test("if its weights sum to more than 2^31 - 1", () => {
    const beyond = [
      { variant: "a", weight: MAX_WEIGHT },
      { variant: "b", weight: 1 },
    ];
    expect(serveFields(serveRollout({ shares: beyond }))).toEqual([`${ROLLOUT}.shares`]);
    const most = serveRollout({ shares: [{ variant: "a", weight: MAX_WEIGHT }] });
    expect(fieldsOf(snapshotOf(flag("x", { default: most })), "x")).toEqual([]);
  });

  test("if its algorithm is a newer server's", () => {
    expect(serveFields(serveRollout({ shares, algorithm: 7 as RolloutAlgorithm }))).toEqual([`${ROLLOUT}.algorithm`]);
  });

  test("if it would hash the time", () => {
    expect(serveFields(serveRollout({ shares, bucketBy: "$now" }))).toEqual([`${ROLLOUT}.bucket_by`]);
  });

  test("in a rule under the rule's path", () => {
    const snapshot = snapshotOf(flag("x", { rules: [rule(all()), rule(all(), "s", serveRollout({}))] }));
    expect(fieldsOf(snapshot, "x")).toEqual(["targeting.rules[1].serve.rollout.shares"]);
  });
});

describe("a share of the traffic as a condition is refused", () => {
  const SHARE = `${RULE}.rollout`;

  test("if it ends beyond its total", () => {
    expect(conditionFields(share({ weight: 60, start: 40, totalWeight: 100 }))).toEqual([]);
    expect(conditionFields(share({ weight: 61, start: 40, totalWeight: 100 }))).toEqual([`${SHARE}.weight`]);
  });

  test("if it ends beyond 100,000 where it has no total", () => {
    expect(conditionFields(share({ weight: 100_000 }))).toEqual([]);
    expect(conditionFields(share({ weight: 100_000, start: 1 }))).toEqual([`${SHARE}.weight`]);
  });

  test("if its total is beyond 2^31 - 1", () => {
    expect(conditionFields(share({ weight: 1, totalWeight: MAX_WEIGHT }))).toEqual([]);
    expect(conditionFields(share({ weight: 1, totalWeight: MAX_WEIGHT + 1 }))).toEqual([`${SHARE}.total_weight`]);
  });

  test("if its algorithm is a newer server's", () => {
    expect(conditionFields(share({ weight: 1, algorithm: 7 as RolloutAlgorithm }))).toEqual([`${SHARE}.algorithm`]);
  });

  test("if it would hash the time", () => {
    expect(conditionFields(share({ weight: 1, bucketBy: "$now" }))).toEqual([`${SHARE}.bucket_by`]);
  });
});
