import { create, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { type WatchItem, WatchItemSchema } from "../../gen/flagwire/v1/watch_pb.js";

/** An item that holds what its type says: itself, or what stands for it. */
export function toReadable(item: WatchItem): WatchItem {
  return isReadable(WatchItemSchema, item) ? item : standIn(item);
}

/** What stands for an item that cannot be read: something malformed under its key, if it has one; else nothing. */
function standIn(item: unknown): WatchItem {
  const kind = (item as WatchItem | null)?.kind;
  if (kind?.case === "flag") {
    const key: unknown = kind.value?.flag?.key ?? kind.value?.targeting?.flagKey;
    if (typeof key !== "string") return create(WatchItemSchema);
    return create(WatchItemSchema, { kind: { case: "flag", value: { targeting: { flagKey: key } } } });
  }
  if (kind?.case === "segment") {
    const key: unknown = kind.value?.key;
    if (typeof key === "string")
      return create(WatchItemSchema, { kind: { case: "segment", value: { key, condition: {} } } });
  }
  return create(WatchItemSchema);
}

/** A part of a message that is still to be looked at. */
type Pending = readonly [desc: DescMessage, part: unknown];
/** Whether a field's value is of its type; what is inside it is left in `rest`. */
type CheckField = (value: unknown, rest: Pending[]) => boolean;

const checks = new Map<DescMessage, (message: Parts, rest: Pending[]) => boolean>();

/**
 * Whether a message holds, at every level, what its type says. Every decoder sees to that; a message that was put together
 * in some other way can hold anything. Does not recurse, for it may be nested deeper than the engine allows.
 */
function isReadable(desc: DescMessage, message: unknown): boolean {
  const rest: Pending[] = [[desc, message]];
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    const [type, part] = next;
    if (!isObject(part) || !checkOf(type)(part, rest)) return false;
  }
  return true;
}

type Parts = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Parts {
  return typeof value === "object" && value !== null;
}

function checkOf(desc: DescMessage): (message: Parts, rest: Pending[]) => boolean {
  const known = checks.get(desc);
  if (known !== undefined) return known;
  const members = desc.members.map((member) => {
    if (member.kind !== "oneof") return [member.localName, checkField(member)] as const;
    const cases = new Map(member.fields.map((field) => [field.localName, checkValue(field)]));
    const check: CheckField = (value, rest) => {
      if (!isObject(value)) return false;
      if (value.case === undefined) return true;
      return cases.get(value.case as string)?.(value.value, rest) ?? false;
    };
    return [member.localName, check] as const;
  });
  const check = (message: Parts, rest: Pending[]): boolean => {
    for (const [name, holds] of members) if (!holds(message[name], rest)) return false;
    return true;
  };
  checks.set(desc, check);
  return check;
}

function checkField(field: DescField): CheckField {
  const check = checkValue(field);
  const isOptional = field.presence !== FeatureSet_FieldPresence.IMPLICIT || field.fieldKind === "message";
  switch (field.fieldKind) {
    case "list":
      return (value, rest) => {
        if (!Array.isArray(value)) return false;
        for (const element of value) if (!check(element, rest)) return false;
        return true;
      };
    case "map":
      return (value, rest) => {
        if (!isObject(value)) return false;
        for (const member of Object.values(value)) if (!check(member, rest)) return false;
        return true;
      };
    default:
      return isOptional ? (value, rest) => value === undefined || check(value, rest) : check;
  }
}

function checkValue(field: DescField): CheckField {
  const { message } = field;
  if (message !== undefined) {
    // A Struct is plain JSON wherever it is not a part of a Value.
    if (message.typeName === "google.protobuf.Struct" && field.parent.typeName !== "google.protobuf.Value")
      return isObject;
    return (value, rest) => {
      rest.push([message, value]);
      return true;
    };
  }
  return checkScalar(field.scalar);
}

function checkScalar(scalar: ScalarType | undefined): CheckField {
  switch (scalar) {
    case ScalarType.STRING:
      return (value) => typeof value === "string";
    case ScalarType.BOOL:
      return (value) => typeof value === "boolean";
    case ScalarType.UINT64:
    case ScalarType.INT64:
      return (value) => typeof value === "bigint";
    case ScalarType.DOUBLE:
      return (value) => typeof value === "number";
    case ScalarType.UINT32:
      return (value) => typeof value === "number" && value >>> 0 === value;
    // Enums among them: their numbers may be of a newer version.
    default:
      return (value) => Number.isInteger(value);
  }
}
