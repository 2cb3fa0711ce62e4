import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, it, test } from "vitest";
import { parse } from "yaml";
import { type Mirror, MirrorError } from "../../src/client/index.js";
import { createTestFlags, type TestFlags, variant, variants } from "../../src/testing/index.js";
import { settle, VirtualClock } from "../support/virtual-clock.js";

let flags: TestFlags;

beforeEach(() => {
  flags = createTestFlags({
    "new-checkout": true,
    "button-color": variants({ red: "#d73027", blue: "#4575b4" }),
    "timeout-ms": 3000,
    limits: { max: 3 },
  });
});

function listen(mirror: Mirror): string[] {
  const events: string[] = [];
  mirror.on("change", ({ keys, revision }) => events.push(`change ${keys.join(",")}@${revision}`));
  mirror.on("ready", ({ revision }) => events.push(`ready@${revision}`));
  mirror.on("stale", ({ revision }) => events.push(`stale@${revision}`));
  mirror.on("error", ({ kind, message }) => events.push(`error ${kind}: ${message}`));
  return events;
}

describe("flags of values", () => {
  it("are a mirror that is ready", () => {
    const mirror: Mirror = flags;
    expect(mirror).toMatchObject({ environment: "production", status: "ready", revision: 1, delivery: "stream" });
    expect(mirror.keys()).toEqual(["button-color", "limits", "new-checkout", "timeout-ms"]);
  });

  it("answer by their types", () => {
    expect(flags.boolean("new-checkout", false)).toBe(true);
    expect(flags.string("button-color", "")).toBe("#d73027");
    expect(flags.number("timeout-ms", 0)).toBe(3000);
    expect(flags.object("limits", { max: 0 })).toEqual({ max: 3 });
  });

  it("tell what a mirror tells", () => {
    expect(flags.details("button-color", "")).toMatchObject({ variant: "red", reason: "STATIC", revision: 1 });
    expect(flags.details("new-chekout", false)).toMatchObject({ value: false, errorCode: "FLAG_NOT_FOUND" });
    expect(flags.details("timeout-ms", "")).toMatchObject({ value: "", errorCode: "TYPE_MISMATCH" });
    expect(flags.explain("new-checkout", false).trace?.flags[0]?.flagKey).toBe("new-checkout");
  });

  it("count what they answer", () => {
    flags.boolean("new-checkout", false);
    flags.set("new-checkout", false);
    flags.boolean("new-checkout", true);
    flags.details("new-checkout", true);
    expect(flags.takeUsage()).toEqual([
      { flagKey: "new-checkout", variant: "on", count: 1, revision: 1 },
      { flagKey: "new-checkout", variant: "off", count: 2, revision: 2 },
    ]);
    expect(flags.takeUsage()).toEqual([]);
  });

  it.each<[string, unknown, RegExp]>([
    ["null", null, /null is no flag's value/],
    ["a list", [1], /\[1\] is no flag's value/],
    ["NaN", Number.NaN, /is no flag's value, which is a boolean, a string, a finite number or a JSON object/],
    ["a bigint", 1n, /1n is no flag's value/],
    ["a function inside", { a: () => 1 }, /is no flag's value/],
    ["a Date", new Date(0), /is no flag's value/],
  ])("refuse %s", (_, value, message) => {
    expect(() => createTestFlags({ odd: value as never })).toThrow(message);
  });

  it.each<[string, unknown, RegExp]>([
    ["a list of flags, whose places are no keys", [{ key: "new-checkout" }], /values by key, not as a list/],
    ["a map, of which no flag would be seen", new Map([["new-checkout", true]]), /values by key, not as Map/],
    ["null", null, /values by key, not as Null/],
  ])("refuse %s", (_, source, message) => {
    expect(() => createTestFlags(source as never)).toThrow(message);
  });

  it("refuse what is no key, and variants of several types", () => {
    expect(() => createTestFlags({ "a b": true })).toThrow(/"a b" is no flag's key/);
    expect(() => createTestFlags({ mixed: variants({ a: 1, b: "1" }) })).toThrow(/mixed: its variants are of several/);
    expect(() => variants({ a: 1 }, "b")).toThrow(/no variant "b" among a/);
  });
});

describe("flags of a file", () => {
  const file = parse(readFileSync(join(import.meta.dirname, "../../examples/flags.yaml"), "utf8"));
  const context = { targetingKey: "user-7", plan: "pro" };

  it("follow their rules, segments and rollouts", () => {
    const real = createTestFlags(file);
    expect(real.details("search", {}, context)).toMatchObject({ variant: "pro", reason: "TARGETING_MATCH" });
    expect(real.boolean("new-checkout", false, { targetingKey: "x", email: "ann@EXAMPLE.com" })).toBe(true);
    expect(real.details("new-checkout", false, { targetingKey: "y" }).reason).toBe("SPLIT");
    expect(real.details("new-checkout", false)).toMatchObject({ errorCode: "TARGETING_KEY_MISSING" });
  });

  it("are seen by the flags that require them when they are overridden", () => {
    const real = createTestFlags(file);
    const events = listen(real);
    real.override("new-checkout", false);
    expect(real.details("express-checkout", true, context)).toMatchObject({
      value: false,
      reason: "PREREQUISITE_FAILED",
    });
    expect(events).toEqual(["change express-checkout,new-checkout@2"]);
    real.override("new-checkout", ({ plan }) => plan === "pro");
    expect(real.boolean("express-checkout", false, context)).toBe(true);
    expect(real.boolean("express-checkout", true, { ...context, plan: "free" })).toBe(false);
  });

  it("are of one environment", () => {
    const two = {
      flags: [{ key: "a", type: "boolean", kind: "operational", variants: { on: true, off: false } }],
      targetings: [
        { flagKey: "a", environment: "staging", enabled: true, default: { variant: "on" } },
        { flagKey: "a", environment: "production", enabled: true, default: { variant: "off" } },
      ],
    };
    expect(createTestFlags(two, { environment: "staging" }).boolean("a", false)).toBe(true);
    expect(createTestFlags(two).boolean("a", true)).toBe(false);
    expect(() => createTestFlags(two, { environment: "stagign" })).toThrow(
      'the flag file: there is no environment "stagign"; there are production, staging',
    );
    const named = {
      ...file,
      environments: [{ name: "qa" }],
      segments: [...file.segments, { key: "s", environment: "beta" }],
    };
    for (const environment of ["qa", "beta", "production"]) {
      expect(createTestFlags(named, { environment }).environment).toBe(environment);
    }
    expect(createTestFlags({ a: true }, { environment: "anything" }).boolean("a", false)).toBe(true);
  });

  it("may be flagd's", () => {
    const color = {
      state: "ENABLED",
      variants: { red: "#f00", blue: "#00f" },
      defaultVariant: "red",
      targeting: { if: [{ "==": [{ var: "plan" }, "pro"] }, "blue", null] },
    };
    const flagd = { $schema: "https://flagd.dev/schema/v0/flags.json", flags: { color } };
    const own = createTestFlags(flagd, { environment: "staging" });
    expect(own.string("color", "", { plan: "pro" })).toBe("#00f");
    expect(own.string("color", "", { plan: "free" })).toBe("#f00");
    expect(createTestFlags({ flags: [{ key: "color", ...color }] }).keys()).toEqual(["color"]);
  });

  it("of flagd are refused where they cannot be translated", () => {
    const variants = { on: true, off: false };
    const map = { state: "ENABLED", variants, defaultVariant: "on", targeting: { map: [] } };
    expect(() => createTestFlags({ flags: { map, bare: { state: "ENABLED" } } })).toThrow(
      /^the flag file: flags\.map\.targeting\.map .*; flags\.bare\.variants /,
    );
    expect(() => createTestFlags({ $schema: "flags.json", flags: "none" })).toThrow(/is no flag file/);
  });

  it("are told from flags by key of which one is named flags", () => {
    expect(createTestFlags({ flags: { max: 3 } }).object("flags", {})).toEqual({ max: 3 });
    expect(createTestFlags({ flags: variants({ a: 1 }), more: true }).keys()).toEqual(["flags", "more"]);
  });

  it("may be at a path, or a URL", () => {
    const url = new URL("../../examples/demo.flagd.json", import.meta.url);
    expect(createTestFlags(url).keys()).toEqual(createTestFlags(fileURLToPath(url)).keys());
    expect(() => createTestFlags(new URL("none.json", url))).toThrow(/ENOENT.*none\.json/);
  });

  it("come from JSON, not from YAML", () => {
    expect(() => createTestFlags("flags.yaml")).toThrow(/YAML is not read here/);
    expect(() => createTestFlags(join(import.meta.dirname, "../../package.json"))).toThrow(/is no flag file/);
  });

  it("are refused where a server would refuse them", () => {
    const broken = { ...file, targetings: [{ flagKey: "search", enabled: true, default: { variant: "gold" } }] };
    expect(() => createTestFlags(broken)).toThrow(/malformed flags: search: .* no variant "gold"/);
    expect(() => createTestFlags({ flags: [{ key: "a", typ: "boolean" }] })).toThrow(
      "the flag file: flags[0].typ: there is no such field; there are key, type,",
    );
  });

  it("are refused as precisely as the command line refuses them", () => {
    const flags = ["boolean", "Boolean", "FLAG_TYPE_BOOLEAN", "bolean"].map((type) => ({ key: type, type }));
    const rules = [{ condition: { match: { attribute: "a", operator: "semver-les" } } }];
    expect(() => createTestFlags({ flags, targetings: [{ flagKey: "boolean", rules }] })).toThrow(
      /^the flag file: flags\[3\]\.type: "bolean" is none of boolean, string, number, object; targetings\[0\]\.rules\[0\]\.condition\.match\.operator: "semver-les" is none of /,
    );
  });
});

describe("set", () => {
  it("is seen by the next evaluation, and told as a mirror tells it", () => {
    const events = listen(flags);
    expect(flags.set("new-checkout", false)).toBe(2);
    expect(flags.boolean("new-checkout", true)).toBe(false);
    flags.set("brand-new", "hello");
    expect(flags.string("brand-new", "")).toBe("hello");
    expect(events).toEqual(["change new-checkout@2", "change brand-new@3"]);
  });

  it("makes no revision where nothing changes", () => {
    const events = listen(flags);
    const { digest } = flags;
    expect(flags.set("timeout-ms", 3000)).toBe(1);
    expect([events, flags.digest === digest]).toEqual([[], true]);
    flags.set("timeout-ms", 4000);
    expect(flags.digest).not.toBe(digest);
  });

  it("takes a variant by its name, and keeps the others", () => {
    flags.set("button-color", variant("blue"));
    expect(flags.details("button-color", "")).toMatchObject({ value: "#4575b4", variant: "blue" });
    flags.set("button-color", "#ffffff");
    expect(flags.variants("button-color")).toEqual({ red: "#d73027", blue: "#4575b4", value: "#ffffff" });
    expect(() => flags.set("button-color", variant("green"))).toThrow(/no variant "green"; it has red, blue, value/);
  });

  it("refuses another type, unless it is meant", () => {
    expect(() => flags.set("timeout-ms", "3000")).toThrow(
      /flag timeout-ms is of the type number, and "3000" is not; where that is meant, pass { changeType: true }/,
    );
    expect(() => flags.set("new-checkout", "on")).toThrow(/its variant is variant\("on"\)/);
    expect(() => flags.set("timeout-ms", variants({ a: "x" }))).toThrow(/its new variants are not/);
    expect(flags.revision).toBe(1);
    flags.set("timeout-ms", "3000", { changeType: true });
    expect(flags.string("timeout-ms", "")).toBe("3000");
  });

  it("and remove are undone by reset, in one change", () => {
    const events = listen(flags);
    flags.set("new-checkout", false);
    flags.remove("limits");
    expect(flags.details("limits", {}).errorCode).toBe("FLAG_NOT_FOUND");
    flags.reset();
    expect([flags.boolean("new-checkout", false), flags.object("limits", {})]).toEqual([true, { max: 3 }]);
    expect(events).toEqual(["change new-checkout@2", "change limits@3", "change limits,new-checkout@4"]);
  });
});

describe("kill", () => {
  it("serves the off variant, or the caller's default where there is none, until the flag is revived", () => {
    const events = listen(flags);
    expect([flags.kill("new-checkout", { reason: "payments are failing" }), flags.kill("timeout-ms")]).toEqual([2, 3]);
    expect(flags.details("new-checkout", true)).toMatchObject({ value: false, variant: "off", reason: "KILLED" });
    expect(flags.details("timeout-ms", 7)).toMatchObject({ value: 7, reason: "KILLED" });
    expect(flags.kill("timeout-ms", { reason: "again" })).toBe(3);
    flags.revive("new-checkout");
    expect(flags.boolean("new-checkout", false)).toBe(true);
    expect(flags.revive("new-checkout")).toBe(4);
    expect(events).toEqual(["change new-checkout@2", "change timeout-ms@3", "change new-checkout@4"]);
  });

  it("is undone by set, and beaten by an override", () => {
    flags.kill("timeout-ms");
    expect(flags.set("timeout-ms", 3000)).toBe(3);
    expect(flags.number("timeout-ms", 0)).toBe(3000);
    flags.kill("timeout-ms");
    using _ = flags.override("timeout-ms", 5);
    expect(flags.number("timeout-ms", 0)).toBe(5);
  });

  it("leaves a killed flag of a file its rules for when it is revived", () => {
    const real = createTestFlags(parse(readFileSync(join(import.meta.dirname, "../../examples/flags.yaml"), "utf8")));
    const before = real.details("search", {}, { plan: "pro" });
    real.kill("search");
    expect(real.details("search", {}, { plan: "pro" }).reason).toBe("KILLED");
    expect(real.details("search", {}, { plan: "pro" })).not.toMatchObject({ variant: before.variant });
    real.revive("search");
    expect(real.details("search", {}, { plan: "pro" })).toEqual({ ...before, revision: 3 });
  });

  it("is refused for a flag that there is not", () => {
    expect(() => flags.kill("nope")).toThrow('[not_found] there is no flag "nope"');
    expect(() => flags.revive("nope")).toThrow('[not_found] there is no flag "nope"');
    const bare = createTestFlags({
      flags: [{ key: "a", type: "boolean", kind: "operational", variants: { on: true } }],
    });
    bare.kill("a");
    expect(bare.details("a", true)).toMatchObject({ value: true, reason: "KILLED" });
  });
});

describe("an override", () => {
  it("beats the rules until it is restored", () => {
    const events = listen(flags);
    const override = flags.override("new-checkout", false);
    expect(flags.details("new-checkout", true)).toMatchObject({ value: false, variant: "off", reason: "STATIC" });
    override.restore();
    override.restore();
    expect(flags.boolean("new-checkout", false)).toBe(true);
    expect(events).toEqual(["change new-checkout@2", "change new-checkout@3"]);
  });

  it("ends with its block", () => {
    {
      using _ = flags.override("timeout-ms", 1);
      expect(flags.number("timeout-ms", 0)).toBe(1);
    }
    expect(flags.number("timeout-ms", 0)).toBe(3000);
  });

  it("on top of another one counts, in whatever order they end", () => {
    const first = flags.override("timeout-ms", 1);
    const second = flags.override("timeout-ms", 2);
    first.restore();
    expect(flags.number("timeout-ms", 0)).toBe(2);
    second.restore();
    expect(flags.number("timeout-ms", 0)).toBe(3000);
  });

  it("stays over what is set under it", () => {
    const override = flags.override("timeout-ms", 1);
    const revision = flags.set("timeout-ms", 7);
    expect([flags.number("timeout-ms", 0), flags.revision]).toEqual([1, revision]);
    override.restore();
    expect(flags.number("timeout-ms", 0)).toBe(7);
  });

  it("may be a function of the context, of any value of the flag's type", () => {
    flags.override("button-color", ({ plan }) => (plan === "pro" ? variant("blue") : `#${String(plan)}`));
    expect(flags.details("button-color", "", { plan: "pro" })).toMatchObject({ variant: "blue", reason: "STATIC" });
    expect(flags.details("button-color", "", { plan: "abc" })).toMatchObject({ value: "#abc", variant: "override" });
    expect(flags.string("button-color", "", { plan: "def" })).toBe("#def");
    expect(flags.takeUsage().map(({ variant: name, count }) => [name, count])).toEqual([
      ["blue", 1],
      ["override", 2],
    ]);
  });

  it("by a function that says undefined leaves the flag as it is without it", () => {
    const real = createTestFlags(parse(readFileSync(join(import.meta.dirname, "../../examples/flags.yaml"), "utf8")));
    const pro = { targetingKey: "user-7", plan: "pro" };
    const rules = real.details("search", {}, pro);
    real.override("search", ({ plan }) => (plan === "free" ? { maxResults: 1 } : undefined));
    expect(real.details("search", {}, { plan: "free" })).toMatchObject({ value: { maxResults: 1 }, reason: "STATIC" });
    expect(real.details("search", {}, pro)).toEqual({ ...rules, revision: 2 });
    const staff = { targetingKey: "user-7", email: "ann@example.com" };
    const below = real.override("new-checkout", false);
    real.override("new-checkout", ({ plan }) => (plan === "free" ? true : undefined));
    expect(real.boolean("new-checkout", false, { plan: "free" })).toBe(true);
    expect(real.boolean("new-checkout", true, staff)).toBe(false);
    below.restore();
    expect(real.details("new-checkout", false, staff)).toMatchObject({ value: true, reason: "TARGETING_MATCH" });
  });

  it("by a function is one of the flag's newest variants, whatever is overridden below it", () => {
    flags.override("timeout-ms", "soon", { changeType: true });
    flags.override("timeout-ms", () => variant("slow"));
    flags.set("timeout-ms", variants({ quick: 1, slow: 2 }));
    expect(flags.number("timeout-ms", 0)).toBe(2);
  });

  it("by a function that says undefined leaves prerequisites to their overrides", () => {
    const real = createTestFlags(parse(readFileSync(join(import.meta.dirname, "../../examples/flags.yaml"), "utf8")));
    const context = { targetingKey: "user-7", plan: "pro" };
    real.override("new-checkout", ({ plan }) => plan === "pro");
    real.override("express-checkout", () => undefined);
    expect(real.boolean("express-checkout", false, context)).toBe(true);
    expect(real.details("express-checkout", true, { ...context, plan: "free" }).reason).toBe("PREREQUISITE_FAILED");
    real.override("new-checkout", () => expect.unreachable("what beats its rules has no prerequisites"));
    real.override("express-checkout", () => true);
    expect(real.boolean("express-checkout", false, context)).toBe(true);
  });

  it("by a function works again after it was restored", () => {
    flags.override("timeout-ms", () => 5).restore();
    flags.override("timeout-ms", () => 5);
    flags.number("timeout-ms", 0);
    flags.reset();
    flags.override("timeout-ms", () => 5);
    expect(flags.number("timeout-ms", 0)).toBe(5);
  });

  it("ends with its flag", () => {
    const override = flags.override("timeout-ms", 1);
    expect(override.isActive).toBe(true);
    flags.remove("timeout-ms");
    flags.set("timeout-ms", 7);
    expect(override.isActive).toBe(false);
    override.restore();
    expect([flags.number("timeout-ms", 0), flags.revision]).toEqual([7, 4]);
  });

  it("whose function fails makes the evaluation fail: the test has to see it", () => {
    flags.override("timeout-ms", () => {
      throw new Error("my own");
    });
    expect(() => flags.number("timeout-ms", 0)).toThrow("my own");
    flags.override("timeout-ms", () => "1");
    expect(() => flags.number("timeout-ms", 0)).toThrow(/timeout-ms is of the type number, and "1" is not/);
    expect(flags.boolean("new-checkout", false)).toBe(true);
  });

  it("is refused for a flag that there is not, and for another type", () => {
    expect(() => flags.override("new-chekout", true)).toThrow(
      'there is no flag "new-chekout"; there are new-checkout, button-color, timeout-ms, limits',
    );
    expect(() => flags.override("timeout-ms", true)).toThrow(TypeError);
    flags.override("timeout-ms", "soon", { changeType: true });
    expect(flags.string("timeout-ms", "")).toBe("soon");
  });
});

describe("reset", () => {
  it("ends overrides, those of before an outage too, in a revision of its own", () => {
    flags.override("timeout-ms", 1);
    flags.reset();
    expect([flags.number("timeout-ms", 0), flags.revision]).toEqual([3000, 3]);
    flags.override("timeout-ms", 1);
    flags.outage();
    flags.reset();
    expect([flags.number("timeout-ms", 0), flags.revision]).toEqual([3000, 5]);
  });

  it("forgets what was counted, also by flags that were pinned before", () => {
    flags.override("timeout-ms", () => 1);
    const pinned = flags.pinned();
    flags.number("timeout-ms", 0);
    flags.reset();
    pinned.number("timeout-ms", 0);
    expect(flags.takeUsage()).toEqual([]);
  });
});

describe("pinned flags", () => {
  it("stay as they were, overrides included", () => {
    flags.override("timeout-ms", 1);
    const pinned = flags.pinned();
    flags.override("timeout-ms", 2);
    flags.set("new-checkout", false);
    expect([pinned.number("timeout-ms", 0), pinned.boolean("new-checkout", false), pinned.revision]).toEqual([
      1,
      true,
      2,
    ]);
    expect(flags.number("timeout-ms", 0)).toBe(2);
  });

  it("ask the functions that were there, and are counted", () => {
    flags.override("timeout-ms", ({ plan }) => (plan === "pro" ? 10 : 20));
    const pinned = flags.pinned();
    flags.override("timeout-ms", 2);
    expect([pinned.number("timeout-ms", 0, { plan: "pro" }), pinned.number("timeout-ms", 0)]).toEqual([10, 20]);
    expect(flags.number("timeout-ms", 0)).toBe(2);
    expect(flags.takeUsage()).toEqual([{ flagKey: "timeout-ms", variant: "override", count: 3, revision: 3 }]);
  });

  it("count among what was asked", () => {
    flags.pinned().boolean("nope", false);
    expect([flags.asked, flags.unknown]).toEqual([["nope"], ["nope"]]);
  });
});

describe("an outage", () => {
  it("leaves the answers, and brings what was set meanwhile when it is over", () => {
    const events = listen(flags);
    const outage = flags.outage();
    expect(flags.set("new-checkout", false)).toBe(2);
    expect([flags.status, flags.revision, flags.boolean("new-checkout", false)]).toEqual(["stale", 1, true]);
    outage.recover();
    expect([flags.status, flags.revision, flags.boolean("new-checkout", true)]).toEqual(["ready", 2, false]);
    expect(events).toEqual(["stale@1", "ready@2", "change new-checkout@2"]);
  });

  it("lets overrides through, for they are the test's", () => {
    flags.outage();
    flags.override("new-checkout", false);
    expect([flags.boolean("new-checkout", true), flags.revision]).toEqual([false, 1]);
  });

  it("keeps a flag that is removed meanwhile, but not its overrides", () => {
    flags.override("timeout-ms", 1);
    flags.outage();
    flags.remove("timeout-ms");
    expect(flags.number("timeout-ms", 0)).toBe(3000);
    flags.recover();
    expect(flags.details("timeout-ms", 0).errorCode).toBe("FLAG_NOT_FOUND");
  });

  it("may come with an error", () => {
    const events = listen(flags);
    flags.outage({ error: true });
    flags.recover();
    flags.outage({ error: new MirrorError("refused", "no token") });
    expect(events).toEqual([
      "error connection: the server cannot be reached: this outage is a test's",
      "stale@1",
      "ready@1",
      "error refused: no token",
      "stale@1",
    ]);
  });

  it("is told of once, however often it is said", () => {
    const events = listen(flags);
    flags.outage();
    flags.outage();
    flags.recover();
    flags.recover();
    expect(events).toEqual(["stale@1", "ready@1"]);
  });

  it("that is cold is as if nothing had ever come", async () => {
    const events = listen(flags);
    {
      using _ = flags.outage({ cold: true });
      expect([flags.status, flags.revision, flags.keys()]).toEqual(["connecting", 0, []]);
      expect(flags.boolean("new-checkout", false)).toBe(false);
      expect(flags.details("new-checkout", false)).toMatchObject({ value: false, errorCode: "PROVIDER_NOT_READY" });
      expect(flags.pinned().details("new-checkout", false).errorCode).toBe("PROVIDER_NOT_READY");
      flags.set("timeout-ms", 1);
    }
    expect([flags.boolean("new-checkout", false), flags.number("timeout-ms", 0)]).toEqual([true, 1]);
    expect(events).toEqual(["ready@2"]);
  });

  it("that is cold tells of no change before it is over", () => {
    flags.outage({ cold: true });
    const events = listen(flags);
    flags.override("new-checkout", false);
    expect(events).toEqual([]);
  });

  it("is over after reset", () => {
    flags.outage({ cold: true });
    flags.reset();
    expect([flags.status, flags.boolean("new-checkout", false)]).toEqual(["ready", true]);
  });
});

describe("waitFor", () => {
  it("resolves at once, and in an outage when that is over", async () => {
    await flags.waitFor(flags.set("new-checkout", false));
    flags.outage();
    const revision = flags.set("new-checkout", true);
    const waiting = flags.waitFor(revision).then(() => flags.boolean("new-checkout", false));
    flags.recover();
    expect(await waiting).toBe(true);
  });

  it("waits for the first sync of a cold start", async () => {
    flags.outage({ cold: true });
    const before = flags.waitFor(0).then(() => flags.status);
    flags.outage({ cold: true });
    const after = flags.waitFor(1).then(() => flags.status);
    await settle();
    flags.recover();
    expect(await Promise.all([before, after])).toEqual(["ready", "ready"]);
  });

  it("rejects in time by the clock that is given, and when the flags are closed", async () => {
    const clock = new VirtualClock();
    const timed = createTestFlags({ a: true }, { clock });
    const late = timed.waitFor(9, { timeoutMs: 1_000 }).catch((error: MirrorError) => error.message);
    await clock.advance(1_000);
    expect(await late).toBe("revision 9 did not come within 1 s; the flags are ready, at revision 1");
    const closed = timed.waitFor(9).catch((error: MirrorError) => error.kind);
    await timed.close();
    expect(await closed).toBe("closed");
  });
});

describe("flags that are closed", () => {
  it("go on answering, and tell nothing", async () => {
    const events = listen(flags);
    {
      await using mirror: Mirror = flags;
      expect(mirror.status).toBe("ready");
    }
    flags.set("new-checkout", false);
    flags.outage();
    flags.recover();
    expect([flags.status, flags.boolean("new-checkout", false), events]).toEqual(["closed", true, []]);
  });

  it("are opened by reset, for the next test", async () => {
    await flags.close();
    flags.reset();
    flags.set("new-checkout", false);
    expect([flags.status, flags.boolean("new-checkout", true)]).toEqual(["ready", false]);
    flags.outage();
    const waiting = flags.waitFor(flags.set("new-checkout", true));
    flags.recover();
    await waiting;
  });
});

describe("a typo", () => {
  it("shows in what was asked", () => {
    flags.boolean("new-chekout", false);
    flags.boolean("new-checkout", false);
    flags.details("new-chekout", false);
    expect([flags.asked, flags.unknown]).toEqual([["new-chekout", "new-checkout"], ["new-chekout"]]);
    flags.reset();
    expect([flags.asked, flags.unknown]).toEqual([[], []]);
  });

  it("throws where the flags are strict, and so does another type", () => {
    const strict = createTestFlags({ a: true }, { strict: true });
    expect(() => strict.boolean("b", false)).toThrow('there is no flag "b"; there are a');
    expect(() => strict.pinned().boolean("b", false)).toThrow('there is no flag "b"');
    expect(() => strict.details("a", "")).toThrow("flag a is of the type boolean, but a string is asked for");
    expect(strict.details("a", undefined).value).toBe(true);
    expect(strict.unknown).toEqual(["b"]);
    strict.outage({ cold: true });
    expect(strict.boolean("b", false)).toBe(false);
  });
});

test("a rule sees the time of the clock that is given", async () => {
  const clock = new VirtualClock(Date.UTC(2030, 0, 1));
  const condition = { match: { attribute: "$now", operator: "after", values: ["2030-01-02T00:00:00Z"] } };
  const file = {
    flags: [{ key: "later", type: "boolean", kind: "operational", variants: { on: true, off: false } }],
    targetings: [
      {
        flagKey: "later",
        enabled: true,
        rules: [{ id: "r", condition, serve: { variant: "on" } }],
        default: { variant: "off" },
      },
    ],
  };
  const timed = createTestFlags(file, { clock });
  expect(timed.boolean("later", false)).toBe(false);
  await clock.advance(2 * 86_400_000);
  expect(timed.boolean("later", false)).toBe(true);
});

test("a listener that throws disturbs nobody, and is told of as a mirror tells it", () => {
  const events = listen(flags);
  flags.on("change", () => {
    throw new Error("oops");
  });
  flags.set("new-checkout", false);
  expect(events).toEqual(["change new-checkout@2", 'error listener: a listener of "change" threw: oops']);
});
