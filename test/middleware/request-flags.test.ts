import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Context, describeTrace, openRemote } from "../../src/client/index.js";
import { listActiveFlags } from "../../src/middleware/active-flags.js";
import { createBinding } from "../../src/middleware/bind-flags.js";
import { compileFlagRule } from "../../src/middleware/flag-rule.js";
import type { FlagSource, RequestFlags } from "../../src/middleware/request-flags.js";
import { type FlagService, openFlagService } from "./flag-service.js";

let service: FlagService;

beforeAll(async () => {
  service = await openFlagService();
});

afterAll(() => service[Symbol.asyncDispose]());

function flagsFor(context: Context): RequestFlags {
  return createBinding({ flags: service.mirror, context: () => context })(undefined);
}

describe("the flags of a request", () => {
  it("answer for its context, each type and the details", () => {
    const flags = flagsFor({ plan: "pro" });
    expect(flags.boolean("pro", false)).toBe(true);
    expect(flags.string("button", "")).toBe("#f00");
    expect(flags.number("button", 7)).toBe(7);
    expect(flags.object("button", [1])).toEqual([1]);
    expect(flags.details("button", "")).toEqual(service.mirror.details("button", "", { plan: "pro" }));
  });

  it("are of one revision, and the latest ones of another", async () => {
    await service.serve("off");
    const flags = flagsFor({ plan: "pro" });
    const { revision } = flags;
    expect(flags.boolean("moving", true)).toBe(false);
    await service.serve("on");
    expect([flags.boolean("moving", true), flags.revision]).toEqual([false, revision]);
    const latest = flags.latest();
    expect([latest.boolean("moving", false), latest.boolean("pro", false)]).toEqual([true, true]);
    expect(latest.revision).toBeGreaterThan(revision);
    expect(flags.latest().evaluated.size).toBe(0);
  });

  it("name all keys, for a page that is given its values", () => {
    const flags = flagsFor({ plan: "pro" });
    const values = Object.fromEntries(flags.keys().map((key) => [key, flags.details(key, undefined).value]));
    expect(Object.keys(values)).toEqual(service.mirror.keys());
    expect(values).toMatchObject({ pro: true, button: "#f00" });
  });

  it("take more of a context for one answer", () => {
    const flags = flagsFor({ targetingKey: "u", plan: "free" });
    expect(flags.boolean("pro", false, { plan: "pro" })).toBe(true);
    expect(flags.boolean("pro", false)).toBe(false);
    expect(flags.context).toEqual({ targetingKey: "u", plan: "free" });
  });

  it("are asked with what can be read of a context, and with an inherited targeting key", () => {
    class User {
      get targetingKey() {
        return "u";
      }
    }
    const user = Object.defineProperty(new User(), "secret", {
      enumerable: true,
      get: () => {
        throw new Error("not yours");
      },
    });
    const asked: (string | undefined)[] = [];
    const pinned = service.mirror.pinned();
    const details = pinned.details.bind(pinned);
    pinned.details = (key, defaultValue, context) => {
      asked.push(context?.targetingKey);
      return details(key, defaultValue, context);
    };
    const context = () => user as unknown as Context;
    const flags = createBinding({ flags: { pinned: () => pinned }, context })(undefined);
    expect(flags.boolean("pro", false, { plan: "pro" })).toBe(true);
    expect(flags.boolean("pro", false, { targetingKey: "v" })).toBe(false);
    expect(asked).toEqual(["u", "v"]);
  });

  it("answer a context that cannot be read with GENERAL, where they ask for any of it", () => {
    const { proxy, revoke } = Proxy.revocable<Context>({ plan: "pro" }, {});
    revoke();
    const flags = flagsFor({ plan: "pro" });
    expect([flags.boolean("pro", false, proxy), flags.boolean("open", false, proxy)]).toEqual([false, true]);
    expect(flags.details("pro", false, proxy).errorCode).toBe("GENERAL");
    expect(flags.details("pro", false).errorCode).toBeUndefined();
  });

  it("read a context where it is, also under another one", () => {
    const get = (target: Context, name: string | symbol) => (name === "plan" ? "pro" : Reflect.get(target, name));
    const flags = flagsFor(new Proxy({ plan: "free" }, { get }));
    expect([flags.boolean("pro", false), flags.boolean("pro", false, { other: 1 })]).toEqual([true, true]);
  });

  it("tell what was asked so far, with the last answer", () => {
    const flags = flagsFor({});
    flags.string("button", "");
    flags.boolean("pro", false);
    flags.boolean("nope", true);
    flags.boolean("pro", false, { plan: "pro" });
    expect([...flags.evaluated.keys()]).toEqual(["button", "pro", "nope"]);
    expect(flags.evaluated.get("pro")).toMatchObject({ value: true, variant: "on", reason: "TARGETING_MATCH" });
    expect(flags.evaluated.get("nope")).toMatchObject({ value: true, errorCode: "FLAG_NOT_FOUND" });
  });

  it("explain an answer of their context and revision, which is not counted", async () => {
    await service.serve("off");
    const flags = flagsFor({ plan: "pro" });
    await service.serve("on");
    service.mirror.takeUsage();
    expect(flags.explain("pro", false)).toMatchObject({ value: true, ruleId: "pro" });
    expect(flags.explain("pro", false, { plan: "free" }).value).toBe(false);
    expect(flags.explain("moving", true)).toMatchObject({ value: false, revision: flags.revision });
    const told = (privateAttributes: string[]): string => {
      const { trace } = flags.explain("pro", false, {}, { privateAttributes });
      return trace === undefined ? "" : describeTrace(trace);
    };
    expect(told([])).toContain('plan is "pro"');
    expect(told(["plan"])).toContain("plan is private");
    expect([flags.evaluated.size, service.mirror.takeUsage()]).toEqual([0, []]);
  });

  it("are counted as usage once for each question", () => {
    service.mirror.takeUsage();
    const flags = flagsFor({});
    flags.boolean("open", false);
    flags.details("open", false);
    expect(service.mirror.takeUsage()).toMatchObject([{ flagKey: "open", variant: "on", count: 2 }]);
  });
});

it.each<[string, () => unknown]>([
  ["a mirror that nobody waited for", () => Promise.resolve(service.mirror)],
  ["a remote client", () => openRemote({ address: service.server.address })],
  ["nothing", () => undefined],
])("%s is refused as the source of flags", (_name, source) => {
  expect(() => createBinding({ flags: source() as FlagSource })).toThrow(
    "flags must be a mirror, as `await openMirror",
  );
});

it.each(["context", "onError"])("%s is refused where it is no function", (name) => {
  expect(() => createBinding({ flags: service.mirror, [name]: { targetingKey: "u" } })).toThrow(
    `${name} must be a function`,
  );
});

describe("a context that cannot be built", () => {
  const builders: readonly [string, () => Context, RegExp][] = [
    [
      "throws",
      () => {
        throw new Error("no session");
      },
      /no session/,
    ],
    ["returns nothing", () => undefined as unknown as Context, /must be an object, and is undefined/],
    ["returns null", () => null as unknown as Context, /must be an object, and is null/],
    ["is a promise", () => Promise.reject(new Error("late")) as unknown as Context, /is a promise/],
    // biome-ignore lint/suspicious/noThenProperty: what only looks like a promise is what this is about.
    ["is like a promise", () => ({ then: () => {} }) as unknown as Context, /is a promise/],
  ];

  it.each(builders)("because it %s leaves an empty one, and is told", (_name, context, message) => {
    const errors: unknown[] = [];
    const flags = createBinding({ flags: service.mirror, context, onError: (error) => errors.push(error) })(undefined);
    expect([flags.boolean("open", false), flags.boolean("pro", true), flags.context]).toEqual([true, false, {}]);
    expect(String(errors)).toMatch(message);
  });

  it("is a warning of the process, once, where nobody listens", () => {
    const emitWarning = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const bind = createBinding({ flags: service.mirror, context: () => undefined as unknown as Context });
    bind(undefined);
    bind(undefined);
    const warnings = emitWarning.mock.calls.map(([message]) => message);
    emitWarning.mockRestore();
    expect(warnings).toEqual([expect.stringMatching(/without its context: .*must be an object/)]);
  });

  it("does no harm where who is told of it throws", () => {
    const onError = (): never => {
      throw new Error("again");
    };
    const context = () => undefined as unknown as Context;
    expect(createBinding({ flags: service.mirror, context, onError })(undefined).boolean("open", false)).toBe(true);
  });
});

describe("a rule", () => {
  const flags = () => flagsFor({ plan: "pro" });

  it("permits by a boolean flag that is true", () => {
    expect(compileFlagRule("pro")(flags())).toBe(true);
    expect(compileFlagRule("pro")(flagsFor({}))).toBe(false);
  });

  it("permits by one of the variants that it accepts", () => {
    expect(compileFlagRule("button", { accept: ["green", "red"] })(flags())).toBe(true);
    expect(compileFlagRule("button", { accept: ["blue"] })(flags())).toBe(false);
    expect(compileFlagRule("shut", { accept: ["off"] })(flags())).toBe(true);
  });

  it("denies what is unknown, or permits it where that is said", () => {
    const unready = createBinding({ flags: service.unready })(undefined);
    const failed = createBinding({
      flags: service.mirror,
      context: () => undefined as unknown as Context,
      onError: () => {},
    })(undefined);
    const cases = [compileCase("nope", flags()), compileCase("button", flags()), compileCase("open", unready)];
    expect([...cases, compileCase("open", failed)]).toEqual([
      [false, true],
      [false, true],
      [false, true],
      [false, true],
    ]);
  });

  function compileCase(key: string, asked: RequestFlags): boolean[] {
    return [compileFlagRule(key)(asked), compileFlagRule(key, { whenUnknown: "allow" })(asked)];
  }

  it("denies by a flag that is off or has no value to give, also where it fails open", async () => {
    expect(compileFlagRule("shut", { whenUnknown: "allow" })(flags())).toBe(false);
    const { revision } = await service.server.admin.killFlags({ flagKeys: ["button"], reason: "test" });
    await service.mirror.waitFor(revision);
    expect(flags().details("button", "").variant).toBeUndefined();
    expect(compileFlagRule("button", { accept: ["red"], whenUnknown: "allow" })(flags())).toBe(false);
    await service.mirror.waitFor((await service.server.admin.reviveFlags({ flagKeys: ["button"] })).revision);
  });

  it("is refused where its options cannot be meant", () => {
    expect(() => compileFlagRule("")).toThrow("a rule needs the key of a flag");
    expect(() => compileFlagRule("a", { accept: [] })).toThrow("accept of a must be a list of variants");
    expect(() => compileFlagRule("a", { whenUnknown: "alow" as "allow" })).toThrow('must be "deny" or "allow"');
  });
});

describe("the list of active flags", () => {
  it("has those that were asked, are true or have a variant", () => {
    const flags = flagsFor({ plan: "pro" });
    for (const key of ["pro", "shut", "nope"]) flags.boolean(key, true);
    flags.string("button", "");
    expect(listActiveFlags(flags)).toBe("pro, button=red");
    expect(listActiveFlags(flagsFor({}))).toBeUndefined();
  });

  it("can carry nothing but itself", () => {
    expect(listActiveFlags(having([["a\r\nset-cookie: x", "b, c=d;\u{d800}\u{1f600}*"]]))).toBe(
      "a%0D%0Aset-cookie%3A%20x=b%2C%20c%3Dd%3B%EF%BF%BD%F0%9F%98%80%2A",
    );
  });

  it("is bounded, and says where there is more", () => {
    const many = Array.from({ length: 500 }, (_, index) => [`flag-${index}`, "variant"] as const);
    const list = listActiveFlags(having(many)) ?? "";
    expect(list.length).toBeLessThanOrEqual(2_048);
    expect(list.length).toBeGreaterThan(2_000);
    expect(list).toMatch(/^flag-0=variant, .*, flag-\d+=variant, \*$/);
    expect(listActiveFlags(having([["x".repeat(3_000), "v"]]))).toBe("*");
  });

  /** Flags that gave texts. */
  function having(variants: readonly (readonly [string, string])[]): RequestFlags {
    const flags = flagsFor({});
    const details = flags.details<unknown>("button", undefined);
    const evaluated = new Map(variants.map(([key, variant]) => [key, { ...details, variant }]));
    return { ...flags, evaluated } as unknown as RequestFlags;
  }
});
