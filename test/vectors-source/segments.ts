import { checkContexts } from "./check-match.js";
import {
  all,
  any,
  Draft,
  enabled,
  everyone,
  fellThrough,
  inSegment,
  match,
  matched,
  nobody,
  not,
  rule,
} from "./draft.js";
import { keyWithHash } from "./murmur3.js";
import type { Context, JsonObject, VectorFile } from "./vector-file.js";

const keyed = (...keys: string[]): Context[] => keys.map((targetingKey) => ({ targetingKey }));
const corporate = match("ENDS_WITH", ["@corp.com"], { attribute: "email" });
const email = "ann@corp.com";

/** Segments. */
export function segments(): VectorFile {
  const draft = new Draft(
    "se",
    "Segments: included beats excluded beats the condition; nested; in shares and in time.",
  );
  const check = (name: string, key: string, holds: readonly Context[], fails: readonly Context[]): void =>
    checkContexts(draft, `in-${name}`, inSegment(key), { holds, fails });

  const staff = draft.segment("staff", { included: ["u1", "both"], excluded: ["u2", "both"], condition: corporate });
  check(
    "staff",
    staff,
    [...keyed("u1", "both"), { targetingKey: "u1", email: "x" }, { targetingKey: "u3", email }, { email }],
    // Excluded although the condition holds; and keys are compared exactly.
    [{ targetingKey: "u2", email }, ...keyed("u2", "u3", "U1", "u1 ", ""), {}, { email: "ann@corp.org" }],
  );
  const listed = draft.segment("listed", { included: ["p1", "é", "日本 😀"] });
  check("listed", listed, keyed("p1", "é", "日本 😀"), [...keyed("p2", "e\u0301", ""), {}, { targetingKey: null }]);
  check("nothing", draft.segment("nothing", {}), [], [...keyed("u1"), {}, { a: "x" }]);
  const excluding = draft.segment("excluding", { excluded: ["u1"] });
  check("excluding", excluding, [], [...keyed("u1", "u2"), {}]);
  const allBut = draft.segment("all-but", { excluded: ["u1"], condition: everyone });
  check("all-but", allBut, [...keyed("u2"), {}, { targetingKey: "" }], keyed("u1"));
  const included = draft.segment("included-only", { included: ["u1"], condition: nobody });
  check("included-only", included, keyed("u1"), [...keyed("u2"), {}]);
  const byKey = draft.segment("by-key", { condition: match("STARTS_WITH", ["vip-"], { attribute: "targetingKey" }) });
  check("by-key", byKey, keyed("vip-1"), [...keyed("user-1"), {}]);

  nesting(draft, staff, listed);
  shares(draft);
  use(draft, staff, listed);
  const recent = match("AFTER", ["2020-01-01T00:00:00Z"], { attribute: "$now" });
  check("time", draft.segment("time", { excluded: ["u1"], condition: recent }), [{}, ...keyed("u2")], keyed("u1"));
  return draft.finish();
}

function nesting(draft: Draft, staff: string, listed: string): void {
  const check = (name: string, condition: JsonObject, holds: readonly Context[], fails: readonly Context[]): void => {
    const key = draft.segment(name, { condition });
    checkContexts(draft, `in-${name}`, inSegment(key), { holds, fails });
  };
  check("either", any(inSegment(staff), inSegment(listed)), keyed("u1", "p1", "both"), [
    ...keyed("u2", "q"),
    { targetingKey: "u2", email },
    {},
  ]);
  check(
    "both-of",
    all(inSegment(staff), inSegment(listed)),
    [{ targetingKey: "p1", email }],
    [...keyed("p1", "u1"), { email }],
  );
  check(
    "not-staff",
    not(inSegment(staff)),
    [...keyed("u2", "p1"), {}, { targetingKey: "u2", email }],
    [...keyed("u1", "both"), { email }],
  );
  // What a segment excludes is out of that one only.
  const inner = draft.segment("inner", { excluded: ["u1"], condition: everyone });
  const outer = draft.segment("outer", { included: ["u1"], excluded: ["u2"], condition: inSegment(inner) });
  checkContexts(draft, "in-outer", inSegment(outer), { holds: [...keyed("u1", "u3"), {}], fails: keyed("u2") });
  let key = listed;
  for (let level = 2; level <= 16; level++) key = draft.segment(`level-${level}`, { condition: inSegment(key) });
  checkContexts(draft, "in-deep", inSegment(key), { holds: keyed("p1"), fails: [...keyed("u1"), {}] });
}

/** A rollout in a segment is salted with the segment's key unless it says otherwise. */
function shares(draft: Draft): void {
  const half = 2 ** 31;
  for (const [name, salt] of [
    ["share", undefined],
    ["share-unsalted", ""],
    ["share-salted", "s:"],
  ] as const) {
    const condition = { rollout: { weight: 50_000, ...(salt !== undefined && { salt }) } };
    const key = draft.segment(name, { included: ["always"], excluded: ["never"], condition });
    const hashed = (hash: number) => keyWithHash(hash, salt ?? key);
    checkContexts(draft, `in-${name}`, inSegment(key), {
      holds: keyed("always", hashed(0), hashed(half - 1)),
      fails: [...keyed("never", hashed(half), hashed(2 ** 32 - 1), ""), {}],
    });
  }
  // The same segment in two flags: the same callers.
  const key = draft.key("share");
  for (const name of ["one", "two"]) {
    const flag = draft.flag(`shared-${name}`, enabled({ rules: [rule(inSegment(key))] }));
    draft.answers(flag, { targetingKey: keyWithHash(half - 1, key) }, matched());
    draft.answers(flag, { targetingKey: keyWithHash(half, key) }, fellThrough);
  }
}

/** In rules, among other conditions. */
function use(draft: Draft, staff: string, listed: string): void {
  const rules = [
    rule(all(inSegment(staff), match("IN", ["x"])), { variant: "on" }, "staff-x"),
    rule(inSegment(listed), { variant: "on" }, "listed"),
    rule(any(inSegment(staff), match("IN", ["y"])), { variant: "on" }, "staff-or-y"),
  ];
  const key = draft.flag("rules", enabled({ rules }));
  draft.answers(key, { targetingKey: "u1", a: "x" }, matched("staff-x"));
  draft.answers(key, { targetingKey: "p1", email, a: "x" }, matched("staff-x"));
  draft.answers(key, { targetingKey: "p1", a: "x" }, matched("listed"));
  draft.answers(key, { targetingKey: "u1" }, matched("staff-or-y"));
  draft.answers(key, { a: "y" }, matched("staff-or-y"));
  draft.answers(key, { a: "x" }, fellThrough);
  draft.answers(key, {}, fellThrough);
}
