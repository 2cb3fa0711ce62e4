import fc from "fast-check";
import type { Context } from "../../src/engine/index.js";
import {
  anyKey,
  anyNumber,
  anyText,
  defined,
  maybe,
  someAttribute,
  someNumber,
  someTargetingKey,
  someText,
} from "./arbitrary-words.js";

/** Contexts of JSON values under the names that conditions ask for. */
export const someContext: fc.Arbitrary<Context> = fc
  .record({
    targetingKey: maybe(someTargetingKey),
    plan: maybe(fc.oneof(someText, fc.constant(null), someNumber)),
    age: maybe(fc.oneof(someNumber, someText)),
    beta: maybe(fc.boolean()),
    list: maybe(fc.array(fc.oneof(someText, someNumber, fc.boolean(), fc.constant(null)), { maxLength: 3 })),
    device: maybe(fc.record({ os: fc.oneof(someText, fc.record({ name: someText })) })),
    "device.os": fc.option(someText, { nil: undefined, freq: 4 }),
  })
  .map((context) => defined(context) as Context);

class Person {
  plan = "pro";
  #age = 5;
  get age() {
    return this.#age;
  }
  list() {
    return [];
  }
}

function cycle(): object {
  const list: unknown[] = [];
  const object = { os: "pro", list, self: {} };
  object.self = object;
  list.push(list, object);
  return object;
}

/** Reads as whatever it is given: objects, itself and what JSON cannot hold among it. */
function readingAs(make: (self: object) => unknown): object {
  const object = { os: "free", toJSON: (): unknown => make(object) };
  return object;
}

/** As a request's body brings them: members of their own, named like those that every object inherits. */
const POLLUTION = [
  '{"__proto__":{"os":"pro","plan":"pro","toJSON":1},"constructor":{"prototype":{"plan":"pro"}}}',
  '{"toJSON":"pro","valueOf":5,"toString":null,"hasOwnProperty":false,"os":{"__proto__":"pro"}}',
  '{"targetingKey":{"__proto__":[]},"length":-1,"then":1,"name":"pro"}',
];

/** What callers put into contexts although JSON does not know it. */
const hostile = fc
  .constantFrom<(() => unknown)[]>(
    () => new Date(0),
    () => new Date(Number.NaN),
    () => new Date(8.64e15),
    () => () => "pro",
    () => Symbol("pro"),
    () => 10n,
    () => new Map([["os", "pro"]]),
    () => new Set(["pro"]),
    () => new Person(),
    () => /pro/,
    () => new Error("pro"),
    () => new String("pro"),
    () => new Uint8Array([1, 2]),
    () => Object.create(null),
    () => new Array(3),
    () => [[["pro"]], cycle()],
    cycle,
    () => undefined,
    () => Promise.resolve("pro"),
    () => new WeakMap(),
    () => readingAs(() => "pro"),
    () => readingAs((self) => self),
    () => readingAs((self) => [self, Symbol("pro"), 10n, undefined]),
    () => readingAs(() => new Date(Number.NaN)),
    () => readingAs(() => readingAs(() => Number.NaN)),
    () => readingAs(() => undefined),
    () => Object.defineProperty({}, "os", { get: () => ["pro", cycle()], enumerable: true }),
    () => Object.freeze({ os: Object.freeze(["pro"]), [Symbol("os")]: "pro" }),
    () => new Proxy({ os: "pro" }, { get: () => "pro", has: () => true }),
    () => [new Number(5), new Boolean(false), Object("pro"), Object(10n), Object(Symbol("pro"))],
    () => ({ os: 10n, list: [10n, Symbol("pro"), Number.NaN, new Array(2), new Date(Number.NaN)] }),
    ...POLLUTION.map((json) => () => JSON.parse(json) as unknown),
  )
  .map((make) => make());

const anything = fc.anything({
  withBigInt: true,
  withBoxedValues: true,
  withDate: true,
  withMap: true,
  withNullPrototype: true,
  withSet: true,
  withSparseArray: true,
  withTypedArray: true,
});

/** Contexts of anything at all, but for objects that throw when they are read. */
export const anyContext: fc.Arbitrary<Context> = fc.oneof(
  someContext,
  fc
    .dictionary(fc.oneof(someAttribute, anyKey, fc.constant("device")), fc.oneof(hostile, anything, anyNumber, anyText))
    .map((context) => context as Context),
  hostile.filter((made) => typeof made === "object" && made !== null).map((made) => made as Context),
);
