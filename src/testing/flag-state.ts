import { clone, create, equals, fromJson, type JsonValue as ProtobufJson } from "@bufbuild/protobuf";
import { timestampFromMs, type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import { type Flag, FlagKind, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { KillSchema, TargetingSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import { type FlagState, FlagStateSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { flagTypeName } from "../engine/index.js";
import { shownValue, type TestValue, typeNameOf, VariantName, VariantValues } from "./test-value.js";

/** What `set` accepts for another type than the flag's. */
export interface SetOptions {
  /** Whether a value of another type than the flag's is meant. Default false: it is refused with a `TypeError`. */
  readonly changeType?: boolean;
}

/** A flag that serves one variant to everybody. A boolean alone has the variants `on` and `off`, any other value `value`. */
export function newFlag(key: string, definition: TestValue | VariantValues): FlagState {
  if (!/^[\w.-]{1,128}$/.test(key)) {
    throw new TypeError(`${JSON.stringify(key)} is no flag's key: 1 to 128 characters of A-Z a-z 0-9 . _ -`);
  }
  const { values, served } = definition instanceof VariantValues ? definition : variantsOf(definition);
  const types = new Set(Object.entries(values).map(([name, value]) => checkedType(`${key}, variant ${name}`, value)));
  const [typeName] = types;
  if (typeName === undefined || types.size > 1) {
    throw new TypeError(`flag ${key}: its variants are of several types: ${[...types].join(", ")}`);
  }
  const variants: Record<string, Value> = {};
  for (const [name, value] of Object.entries(values)) define(variants, name, toValue(value));
  // A killed or disabled boolean is false; a caller's own default is the better one of any other type.
  const offVariant = typeName === "boolean" ? (Object.keys(values).find((name) => values[name] === false) ?? "") : "";
  return create(FlagStateSchema, {
    flag: { key, type: FLAG_TYPES[typeName], kind: FlagKind.OPERATIONAL, variants },
    targeting: { flagKey: key, enabled: true, offVariant, default: { kind: { case: "variant", value: served } } },
  });
}

/**
 * A flag, defined or defined anew; where only a value or variant is given, it keeps its other variants. For `replaces` see
 * `serving`; default true.
 */
export function redefined(
  key: string,
  before: FlagState | undefined,
  definition: TestValue | VariantName | VariantValues,
  options: SetOptions & { readonly replaces?: boolean },
): FlagState {
  if (before === undefined) {
    if (!(definition instanceof VariantName)) return newFlag(key, definition);
    throw new TypeError(`there is no flag ${key} yet, so it has no variant ${JSON.stringify(definition.name)}`);
  }
  if (!(definition instanceof VariantValues)) {
    return serving(before, definition, { replaces: true, ...options, newName: "value" });
  }
  const after = newFlag(key, definition);
  const type = flagOf(before).type;
  if (flagOf(after).type === type || options.changeType === true) return after;
  throw new TypeError(
    `flag ${key} is of the type ${flagTypeName(type)}, and its new variants are not; where that is meant, pass { changeType: true }`,
  );
}

/**
 * The flag, serving one value or variant to everybody: enabled, not killed, without prerequisites and rules. A value that
 * none of its variants has becomes a variant of its own, by the name given; where the flag has one variant only and
 * `replaces` is set, it becomes that one's. Throws a `TypeError` for a value of another type, unless it is meant.
 */
export function serving(
  state: FlagState,
  served: TestValue | VariantName,
  {
    changeType = false,
    newName,
    replaces = false,
  }: SetOptions & { readonly newName: string; readonly replaces?: boolean },
): FlagState {
  const flag = flagOf(state);
  if (served instanceof VariantName) return serveVariant(state, flag.variants, knownVariant(flag, served));
  if (checkedType(flag.key, served) !== flagTypeName(flag.type)) {
    if (changeType) return newFlag(flag.key, served);
    throw wrongType(flag, served);
  }
  const value = toValue(served);
  const names = Object.keys(flag.variants);
  const known = names.find((name) => equals(ValueSchema, flag.variants[name] ?? UNSET, value));
  if (known !== undefined) return serveVariant(state, flag.variants, known);
  const [only] = names;
  const name = replaces && names.length === 1 && only !== undefined ? only : freeName(names, newName);
  const variants = { ...flag.variants };
  define(variants, name, value);
  return serveVariant(state, variants, name);
}

/** The flag, killed; one that is killed stays so for its first reason. Epoch milliseconds. */
export function killed(state: FlagState, reason: string, timeMs: number): FlagState {
  const kill = create(KillSchema, { reason, killedBy: "a test", killedAt: timestampFromMs(timeMs) });
  const targeting = state.targeting ?? create(TargetingSchema, { flagKey: flagOf(state).key });
  return create(FlagStateSchema, { ...state, targeting: { ...targeting, killed: targeting.killed ?? kill } });
}

/** The flag, not killed. */
export function revived(state: FlagState): FlagState {
  const after = clone(FlagStateSchema, state);
  delete after.targeting?.killed;
  return after;
}

/** A flag's own part of its state. */
export function flagOf(state: FlagState): Flag {
  if (state.flag === undefined) throw new TypeError(`settings of ${state.targeting?.flagKey} came without the flag`);
  return state.flag;
}

/** Whether two sets of flags, by key, are the same. */
export function isSameFlags(some: ReadonlyMap<string, FlagState>, others: ReadonlyMap<string, FlagState>): boolean {
  if (some.size !== others.size) return false;
  for (const [key, state] of some) {
    const other = others.get(key);
    if (other === undefined || (state !== other && !equals(FlagStateSchema, state, other))) return false;
  }
  return true;
}

function serveVariant(state: FlagState, variants: Flag["variants"], served: string): FlagState {
  const flag = flagOf(state);
  const targeting = create(TargetingSchema, {
    flagKey: flag.key,
    environment: state.targeting?.environment ?? "",
    enabled: true,
    offVariant: state.targeting?.offVariant ?? "",
    default: { kind: { case: "variant", value: served } },
  });
  return create(FlagStateSchema, { flag: { ...flag, variants }, targeting });
}

function knownVariant(flag: Flag, { name }: VariantName): string {
  if (Object.hasOwn(flag.variants, name)) return name;
  const known = Object.keys(flag.variants).join(", ");
  throw new TypeError(`flag ${flag.key} has no variant ${JSON.stringify(name)}; it has ${known}`);
}

function wrongType(flag: Flag, served: TestValue): TypeError {
  const isVariant = typeof served === "string" && Object.hasOwn(flag.variants, served);
  const hint = isVariant
    ? `its variant is variant(${JSON.stringify(served)})`
    : "where that is meant, pass { changeType: true }";
  return new TypeError(
    `flag ${flag.key} is of the type ${flagTypeName(flag.type)}, and ${shownValue(served)} is not; ${hint}`,
  );
}

function freeName(taken: readonly string[], wanted: string): string {
  let name = wanted;
  for (let number = 2; taken.includes(name); number++) name = `${wanted}-${number}`;
  return name;
}

function variantsOf(value: TestValue): VariantValues {
  if (typeof value === "boolean") return new VariantValues({ on: true, off: false }, value ? "on" : "off");
  return new VariantValues({ value }, "value");
}

function checkedType(whose: string, value: unknown): keyof typeof FLAG_TYPES {
  const typeName = typeNameOf(value);
  if (typeName !== undefined) return typeName;
  throw new TypeError(
    `flag ${whose}: ${shownValue(value)} is no flag's value, which is a boolean, a string, a finite number or a JSON object`,
  );
}

function toValue(value: TestValue): Value {
  return fromJson(ValueSchema, value as ProtobufJson);
}

/** Defined, not assigned: a variant may be named `__proto__`. */
function define(variants: Record<string, Value>, name: string, value: Value): void {
  Object.defineProperty(variants, name, { value, enumerable: true, writable: true, configurable: true });
}

const UNSET = create(ValueSchema);

const FLAG_TYPES = {
  boolean: FlagType.BOOLEAN,
  string: FlagType.STRING,
  number: FlagType.NUMBER,
  object: FlagType.OBJECT,
} as const;
