import { afterAll, describe, expect, expectTypeOf, it, test } from "vitest";
import {
  createTestFlags,
  forEachCombination,
  forEachVariant,
  type RegisterTest,
  type TestFlags,
  variants,
} from "../../src/testing/index.js";

const flags = createTestFlags({
  "new-checkout": true,
  "button-color": variants({ red: "#d73027", blue: "#4575b4" }),
});

/** The button of a page that knows nothing of tests. */
const render = (mirror: Pick<TestFlags, "string">) =>
  `<button style="color: ${mirror.string("button-color", "gray")}">`;

describe("in vitest, a test for each variant", () => {
  const seen: unknown[] = [];
  forEachVariant(test, flags, "button-color", "the button has the color", ({ flagKey, variant, value }) => {
    seen.push([flagKey, variant, value]);
    expect(render(flags)).toContain(value);
  });
  forEachVariant(it, flags, "new-checkout", "the context of the runner is passed on", (_, context) => {
    expect(context).toHaveProperty("task.name");
  });
  const extended = test.extend("seed", { auto: true }, () => 7);
  forEachVariant(extended, flags, "new-checkout", "it runs where a test has fixtures", ({ value }) => {
    expect(flags.boolean("new-checkout", !value)).toBe(value);
  });

  afterAll(() => {
    expect(seen).toEqual([
      ["button-color", "red", "#d73027"],
      ["button-color", "blue", "#4575b4"],
    ]);
    expect(flags.details("button-color", "")).toMatchObject({ variant: "red" });
  });
});

/** A runner that runs nothing until it is told to. */
function collect() {
  const tests: { readonly name: string; readonly body: () => Promise<void> }[] = [];
  return { tests, test: (name: string, body: () => Promise<void>) => tests.push({ name, body }) };
}

describe("forEachVariant", () => {
  it("names each test after its variant, and gives back what the runner gave", () => {
    const { tests, test: register } = collect();
    expect(forEachVariant(register, flags, "button-color", "it renders", () => {})).toEqual([1, 2]);
    expect(tests.map(({ name }) => name)).toEqual([
      "it renders (button-color: red)",
      "it renders (button-color: blue)",
    ]);
  });

  it("takes the override off again when the test fails", async () => {
    const { tests, test: register } = collect();
    forEachVariant(register, flags, "button-color", "it fails", async () => {
      expect(flags.string("button-color", "")).toBe("#4575b4");
      throw new Error("the page is broken");
    });
    await expect(tests[1]?.body()).rejects.toThrow("the page is broken");
    expect(flags.string("button-color", "")).toBe("#d73027");
  });

  it("harms no other test where its own flag is gone", async () => {
    const own = createTestFlags({ first: true, second: true });
    const { tests, test: register } = collect();
    forEachCombination(register, own, ["first", "second"], "it renders", () => {});
    forEachVariant(register, own, "first", "it renders", () => {});
    own.remove("second");
    await expect(tests[3]?.body()).rejects.toThrow(/there is no flag "second"/);
    expect(own.boolean("first", false)).toBe(true);
    await tests[4]?.body();
  });

  it("lets no two tests of the same flags run at the same time", async () => {
    const { tests, test: register } = collect();
    forEachVariant(register, flags, "button-color", "it takes long", () => Promise.resolve());
    const [first, second] = await Promise.allSettled(tests.map(({ body }) => body()));
    expect(first?.status).toBe("fulfilled");
    expect(second).toMatchObject({
      reason: { message: expect.stringMatching(/^"it takes long \(button-color: red\)" is still running/) },
    });
    await tests[1]?.body();
  });

  it("lets no test that never ends keep others from running once the flags are reset", async () => {
    const own = createTestFlags({ first: true });
    const { tests, test: register } = collect();
    const ends: (() => void)[] = [];
    forEachVariant(register, own, "first", "it takes long", async ({ value }) => {
      await new Promise<void>((resolve) => ends.push(resolve));
      expect(own.boolean("first", !value)).toBe(value);
    });
    const hanging = tests[0]?.body();
    await expect(tests[1]?.body()).rejects.toThrow(/"it takes long \(first: on\)" is still running/);
    own.reset();
    const next = tests[1]?.body();
    ends[0]?.();
    await expect(hanging).rejects.toThrow();
    await expect(tests[0]?.body()).rejects.toThrow(/"it takes long \(first: off\)" is still running/);
    ends[1]?.();
    await next;
    own.set("first", false);
    expect(own.boolean("first", true)).toBe(false);
  });

  it("has no parameters that a runner could take for a callback", () => {
    const { tests, test: register } = collect();
    forEachVariant(register, flags, "button-color", "it renders", () => {});
    expect(tests[0]?.body).toHaveLength(0);
  });

  it("takes the functions of all three runners by their types", () => {
    expectTypeOf<typeof import("node:test").test>().toExtend<RegisterTest<Promise<void>>>();
    expectTypeOf<typeof import("@jest/globals").test>().toExtend<RegisterTest<void>>();
    expectTypeOf<typeof test>().toExtend<RegisterTest<void>>();
  });

  it("refuses flags that a hook makes later", () => {
    const later = undefined as unknown as TestFlags;
    expect(() => forEachVariant(collect().test, later, "a", "it", () => {})).toThrow(
      /not in a hook such as beforeEach/,
    );
    expect(() => forEachCombination(collect().test, later, ["a"], "it", () => {})).toThrow(TypeError);
  });

  it("refuses a flag that there is not", () => {
    expect(() => forEachVariant(collect().test, flags, "button-colour", "it", () => {})).toThrow(/"button-colour"/);
  });
});

describe("forEachCombination", () => {
  const keys = ["new-checkout", "button-color"];

  it("runs every combination of variants", async () => {
    const { tests, test: register } = collect();
    const seen: unknown[] = [];
    forEachCombination(register, flags, keys, "it renders", ({ variants: names, values }) => {
      expect(flags.boolean("new-checkout", false)).toBe(values["new-checkout"]);
      expect(flags.string("button-color", "")).toBe(values["button-color"]);
      seen.push(names);
    });
    for (const { body } of tests) await body();
    expect(tests.map(({ name }) => name)).toEqual([
      "it renders (new-checkout: on, button-color: red)",
      "it renders (new-checkout: on, button-color: blue)",
      "it renders (new-checkout: off, button-color: red)",
      "it renders (new-checkout: off, button-color: blue)",
    ]);
    expect(seen).toHaveLength(4);
  });

  it("refuses what would be far too many tests", () => {
    const many = createTestFlags(Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`f${index}`, true])));
    expect(() => forEachCombination(collect().test, many, many.keys(), "it", () => {})).toThrow(/more than 1000/);
  });
});
