import { checkContexts } from "./check-match.js";
import { Draft, match } from "./draft.js";
import type { Context, VectorFile } from "./vector-file.js";

/** For which contexts the attribute of a name is the text `x`. */
interface Named {
  readonly name: string;
  readonly attribute: string;
  readonly holds: readonly Context[];
  readonly fails: readonly Context[];
}

const table: readonly Named[] = [
  {
    name: "exact",
    attribute: "plan",
    holds: [{ plan: "x" }, { plan: ["x"] }, { targetingKey: "u", plan: "x" }],
    fails: [{}, { Plan: "x" }, { PLAN: "x" }, { "plan ": "x" }, { user: { plan: "x" } }, { targetingKey: "x" }],
  },
  {
    name: "path",
    attribute: "user.plan",
    holds: [{ user: { plan: "x" } }, { "user.plan": "x" }, { user: { plan: ["y", "x"] } }],
    fails: [
      {},
      { user: "x" },
      { plan: "x" },
      { user: { Plan: "x" } },
      { user: { plan: null } },
      { user: { plan: { x: "x" } } },
      { user: null },
      // Not through lists, texts and the like.
      { user: [{ plan: "x" }] },
      { user: ["plan", "x"] },
    ],
  },
  {
    name: "exact-before-path",
    attribute: "user.id",
    holds: [
      { "user.id": "x", user: { id: "y" } },
      { user: { id: "x" }, id: "y" },
    ],
    // An exact key decides, whatever it holds.
    fails: [
      { "user.id": "y", user: { id: "x" } },
      { "user.id": null, user: { id: "x" } },
      { "user.id": "", user: { id: "x" } },
      { "user.id": [], user: { id: "x" } },
    ],
  },
  {
    name: "long-path",
    attribute: "a.b.c.d",
    holds: [{ a: { b: { c: { d: "x" } } } }],
    fails: [{ a: { b: { c: "x" } } }, { a: { b: { c: { d: { e: "x" } } } } }, { a: { b: [{ c: { d: "x" } }] } }],
  },
  {
    // Every dot is a step: only the whole name may be an exact key.
    name: "key-with-dots-in-path",
    attribute: "a.b.c",
    holds: [{ a: { b: { c: "x" } } }, { "a.b.c": "x" }, { "a.b": { c: "y" }, a: { b: { c: "x" }, "b.c": "y" } }],
    fails: [{ a: { "b.c": "x" } }, { "a.b": { c: "x" } }, { a: { b: { c: "y" }, "b.c": "x" } }],
  },
  {
    name: "number-in-path",
    attribute: "a.0",
    holds: [{ a: { "0": "x" } }, { "a.0": "x" }],
    fails: [{ a: ["x"] }, { a: "x" }],
  },
  { name: "length", attribute: "a.length", holds: [{ a: { length: "x" } }], fails: [{ a: "x" }, { a: ["x"] }] },
  {
    name: "empty-steps",
    attribute: "a..b",
    holds: [{ a: { "": { b: "x" } } }, { "a..b": "x" }],
    fails: [{ a: { b: "x" } }, { "a.b": "x" }],
  },
  { name: "dot-first", attribute: ".a", holds: [{ ".a": "x" }, { "": { a: "x" } }], fails: [{ a: "x" }] },
  { name: "dot-last", attribute: "a.", holds: [{ "a.": "x" }, { a: { "": "x" } }], fails: [{ a: "x" }] },
  { name: "only-a-dot", attribute: ".", holds: [{ ".": "x" }, { "": { "": "x" } }], fails: [{ "": "x" }] },
  {
    name: "letters",
    attribute: "größe €.日本",
    holds: [{ "größe €.日本": "x" }, { "größe €": { 日本: "x" } }],
    fails: [{ "gro\u0308ße €": { 日本: "x" } }, { "größe€": { 日本: "x" } }],
  },
  { name: "longest", attribute: "n".repeat(256), holds: [{ ["n".repeat(256)]: "x" }], fails: [{ n: "x" }] },
  {
    name: "targeting-key",
    attribute: "targetingKey",
    holds: [{ targetingKey: "x" }, { targetingKey: "x", a: "y" }],
    fails: [{}, { targetingKey: "y" }, { targetingKey: "" }, { targetingKey: null }, { targetingkey: "x" }],
  },
];

/** Names that every object has in some languages: there is no such attribute unless the context has it. */
const inherited = ["constructor", "toString", "__proto__", "hasOwnProperty", "class", "__class__"];

/** How an attribute is found by its name. */
export function attributes(): VectorFile {
  const draft = new Draft("at", "Names of attributes: exact keys, dotted paths, the targeting key.");
  for (const { name, attribute, holds, fails } of table) {
    checkContexts(draft, name, match("IN", ["x"], { attribute }), { holds, fails });
  }
  for (const [index, attribute] of inherited.entries()) {
    const has = (member: string): Context => JSON.parse(`{${JSON.stringify(member)}:"x"}`);
    checkContexts(draft, `inherited-${index}`, match("EXISTS", [], { attribute }), {
      holds: [has(attribute)],
      fails: [{}, { a: has(attribute) }],
    });
    checkContexts(draft, `inherited-path-${index}`, match("EXISTS", [], { attribute: `a.${attribute}` }), {
      holds: [{ a: has(attribute) }],
      fails: [{}, { a: {} }, { a: [] }, { a: "x" }, { a: 1 }, { a: null }],
    });
  }
  const targetingKey = match("EXISTS", [], { attribute: "targetingKey" });
  checkContexts(draft, "has-targeting-key", targetingKey, {
    holds: [{ targetingKey: "u" }, { targetingKey: " " }],
    fails: [{}, { targetingKey: "" }, { targetingKey: null }],
  });
  return draft.finish();
}
