import type { DescField, DescMessage } from "@bufbuild/protobuf";

const STRUCT = "google.protobuf.Struct";
const VALUE = "google.protobuf.Value";

/** A place in a message where any value can be put instead of the one that is there. */
export interface Site {
  /** Such as `kind.value.targeting.rules[0].serve`. */
  readonly path: string;
  /** The field that it belongs to, such as `flagwire.v1.Rule.serve`. */
  readonly field: string;
  readonly holder: object;
  readonly key: PropertyKey;
}

/** Every place in a message, whatever is set there, found by its descriptor. */
export function sitesOf(desc: DescMessage, message: object, path = ""): Site[] {
  const sites: Site[] = [];
  const prefix = path === "" ? "" : `${path}.`;
  for (const member of desc.members) {
    const at = `${prefix}${member.localName}`;
    const name = `${desc.typeName}.${member.name}`;
    sites.push({ path: at, field: name, holder: message, key: member.localName });
    if (member.kind !== "oneof") {
      sites.push(...inside(member, read(message, member.localName), at));
      continue;
    }
    const chosen = read(message, member.localName);
    const field = member.fields.find(({ localName }) => localName === read(chosen, "case"));
    if (field === undefined) continue;
    const chosenName = `${desc.typeName}.${field.name}`;
    for (const key of ["case", "value"]) {
      sites.push({ path: `${at}.${key}`, field: chosenName, holder: chosen as object, key });
    }
    sites.push(...inside(field, read(chosen, "value"), `${at}.value`));
  }
  return sites;
}

/** The places within a field's value. */
function inside(field: DescField, value: unknown, path: string): Site[] {
  if (typeof value !== "object" || value === null) return [];
  const name = `${field.parent.typeName}.${field.name}`;
  switch (field.fieldKind) {
    case "message":
      // A Struct is a plain object wherever it is not a part of a Value.
      if (read(value, "$typeName") === undefined) return membersOf(value, path, name);
      return sitesOf(field.message, value, path);
    case "list":
    case "map": {
      const sites = membersOf(value, path, name);
      const { message } = field;
      if (message === undefined) return sites;
      return sites.flatMap((site) => [site, ...sitesOf(message, read(value, site.key) as object, site.path)]);
    }
    default:
      return [];
  }
}

function membersOf(value: object, path: string, field: string): Site[] {
  return Object.keys(value).map((key) => ({ path: `${path}[${JSON.stringify(key)}]`, field, holder: value, key }));
}

function read(holder: unknown, key: PropertyKey): unknown {
  return (holder as Readonly<Record<PropertyKey, unknown>>)[key];
}

/** The names of all fields and oneofs that a message of this type can hold at any level. */
export function fieldsWithin(desc: DescMessage, seen = new Set<DescMessage>()): string[] {
  if (seen.has(desc)) return [];
  seen.add(desc);
  const names = desc.oneofs.map(({ name }) => `${desc.typeName}.${name}`);
  for (const field of desc.fields) {
    names.push(`${desc.typeName}.${field.name}`);
    const isJson = field.message?.typeName === STRUCT && desc.typeName !== VALUE;
    if (field.message !== undefined && !isJson) names.push(...fieldsWithin(field.message, seen));
  }
  return names;
}

/** Does something while a site holds another value, or none. */
export function whileDamaged<T>({ holder, key }: Site, damage: Damage, use: () => T): T {
  const before = Object.getOwnPropertyDescriptor(holder, key);
  if (damage.kind === "deleted") Reflect.deleteProperty(holder, key);
  else
    Object.defineProperty(holder, key, { value: damage.make(), writable: true, enumerable: true, configurable: true });
  try {
    return use();
  } finally {
    if (before === undefined) Reflect.deleteProperty(holder, key);
    else Object.defineProperty(holder, key, before);
  }
}

/** What is put into a site. */
export type Damage =
  | { readonly kind: "deleted"; readonly name: string }
  | { readonly kind: "replaced"; readonly name: string; readonly make: () => unknown };

const replaced = (name: string, make: () => unknown): Damage => ({ kind: "replaced", name, make });

/** What no decoder makes, and what only a hostile or a newer program does. */
export const DAMAGES: readonly Damage[] = [
  { kind: "deleted", name: "deleted" },
  replaced("undefined", () => undefined),
  replaced("null", () => null),
  replaced("true", () => true),
  replaced("0", () => 0),
  replaced("-1", () => -1),
  replaced("0.5", () => 0.5),
  replaced("NaN", () => Number.NaN),
  replaced("Infinity", () => Number.POSITIVE_INFINITY),
  replaced("-Infinity", () => Number.NEGATIVE_INFINITY),
  replaced("2^32 - 1", () => 2 ** 32 - 1),
  replaced("1e308", () => 1e308),
  replaced("2^64n", () => 2n ** 64n),
  replaced("enum 99", () => 99),
  replaced("enum -1", () => -1),
  replaced("empty text", () => ""),
  replaced("text", () => "text"),
  replaced("__proto__", () => "__proto__"),
  replaced("a lone surrogate", () => "\ud800"),
  replaced("long text", () => "x".repeat(100_000)),
  replaced("symbol", () => Symbol("x")),
  replaced("function", () => () => "x"),
  replaced("empty list", () => []),
  replaced("list of nothing", () => [undefined, null]),
  replaced("list of wrong types", () => [1, "x", {}, [], Symbol("x")]),
  replaced("sparse list", () => new Array(3)),
  replaced("long list", () => new Array(10_000).fill(0)),
  replaced("empty object", () => ({})),
  replaced("object without prototype", () => Object.create(null)),
  replaced("__proto__ as a key", () => JSON.parse('{"__proto__":{"case":"all"},"constructor":1,"x":null}')),
  replaced("unset oneof", () => ({ case: undefined })),
  replaced("unknown oneof", () => ({ case: "newer", value: { key: "x" } })),
  replaced("oneof of nothing", () => ({ case: "all", value: null })),
  replaced("Date", () => new Date(0)),
  replaced("Map", () => new Map([["x", 1]])),
];
