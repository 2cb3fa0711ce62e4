import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toContextMessage } from "../../src/client/remote-context.js";
import { type Context, withoutPrivate } from "../../src/engine/index.js";
import { anyContext } from "./arbitrary-contexts.js";
import { runs, SEED, someAttribute } from "./arbitrary-words.js";

describe("a context without private attributes", () => {
  test("is the same object where nothing of it is private", () => {
    const context = { targetingKey: "ann", plan: "pro", user: { email: "a@b.c" } };
    expect(withoutPrivate(context, [])).toBe(context);
    expect(withoutPrivate(context, ["email", "us", "user.name", "plan.name", "targetingKey.x"])).toBe(context);
  });

  test("lacks an attribute of exactly that name, and shares what is left", () => {
    const context = { targetingKey: "ann", email: "a@b.c", user: { name: "Ann" } };
    const left = withoutPrivate(context, ["email"]);
    expect(left).toEqual({ targetingKey: "ann", user: { name: "Ann" } });
    expect(left.user).toBe(context.user);
    expect(context.email).toBe("a@b.c");
  });

  test("lacks what is inside of what a name stands for", () => {
    const context = { user: { email: "a@b.c" }, "user.email": "a@b.c", users: 3 };
    expect(withoutPrivate(context, ["user"])).toEqual({ users: 3 });
  });

  test("lacks what a path leads to, through objects and names with dots, and keeps what is beside it", () => {
    const user = { email: "a@b.c", name: "Ann", "home.ip": "::1", home: { ip: "::1", city: "Bern" } };
    const context = { user, "user.email": "a@b.c", "user.home": { ip: "::1", zip: 3 }, "user.name": "Ann" };
    expect(withoutPrivate(context, ["user.email", "user.home.ip"])).toEqual({
      user: { name: "Ann", home: { city: "Bern" } },
      "user.home": { zip: 3 },
      "user.name": "Ann",
    });
  });

  test("lacks a list that a path leads into, as a whole", () => {
    const context = { user: { phones: [{ number: "1" }], name: "Ann" }, list: [{ ip: "::1" }, "a"] };
    expect(withoutPrivate(context, ["user.phones.number", "list.ip"])).toEqual({ user: { name: "Ann" } });
  });

  test("lacks the targeting key if that is private, also one that its class gives", () => {
    class User {
      plan = "pro";
      get targetingKey() {
        return "ann";
      }
    }
    expect(withoutPrivate({ targetingKey: "ann", plan: "pro" }, ["targetingKey"])).toEqual({ plan: "pro" });
    expect(withoutPrivate(Object.assign(new User()), ["targetingKey"])).toEqual({ plan: "pro" });
    expect(withoutPrivate(Object.assign(new User()), ["plan"])).toEqual({ targetingKey: "ann" });
  });

  test("lacks it also where the value is what `toJSON` makes, of which nothing gives it back", () => {
    const user = { email: "a@b.c", name: "Ann", toJSON: () => user };
    const left = withoutPrivate({ user }, ["user.email"]);
    expect(JSON.stringify(left)).toBe('{"user":{"name":"Ann"}}');
  });

  test("may have names that every object inherits", () => {
    const context = JSON.parse('{"__proto__":{"os":"a","ip":"b"},"constructor":1}') as Context;
    const left = withoutPrivate(context, ["__proto__.ip"]);
    expect(JSON.stringify(left)).toBe('{"__proto__":{"os":"a"},"constructor":1}');
    expect(Object.getPrototypeOf(left)).toBe(Object.prototype);
  });

  test("is made by a look at each name, however many attributes there are", () => {
    let looks = 0;
    const names = new Proxy(["user.email", "ip"], {
      get(target, key) {
        if (key === "0" || key === "1") looks++;
        return Reflect.get(target, key);
      },
    });
    const plain = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`a${index}`, index]));
    expect(withoutPrivate({ ...plain, ip: "::1", "user.email": "a@b.c" }, names)).toEqual(plain);
    expect(looks).toBe(2);
  });

  test(`has, whatever it is, nothing under private names, and as a message the same under others (seed ${SEED})`, () => {
    fc.assert(
      fc.property(anyContext, fc.uniqueArray(someAttribute, { minLength: 1, maxLength: 3 }), (context, names) => {
        const before = jsonOf(context);
        if (before === undefined) return;
        expect(jsonOf(withoutPrivate(context, names))).toEqual(withoutPaths(before, names));
      }),
      runs(400),
    );
  });
});

type Json = Record<string, unknown>;

function jsonOf(context: Context): Json | undefined {
  try {
    const { targetingKey, attributes } = toContextMessage(context);
    return { ...attributes, ...(targetingKey !== "" && { targetingKey }) };
  } catch (error) {
    // Contains itself.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** By another way: all paths of a value, spelled out. */
function withoutPaths(value: Json, names: readonly string[], path = ""): Json {
  const left: [string, unknown][] = [];
  for (const [key, member] of Object.entries(value)) {
    const here = `${path}${key}.`;
    if (names.some((name) => here.startsWith(`${name}.`))) continue;
    const isLed = names.some((name) => `${name}.`.startsWith(here));
    if (!isLed || typeof member !== "object" || member === null) left.push([key, member]);
    else if (!Array.isArray(member)) left.push([key, withoutPaths(member as Json, names, here)]);
  }
  return Object.fromEntries(left);
}
