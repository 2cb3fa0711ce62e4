import {
  type DescEnum,
  type DescField,
  type DescMessage,
  type JsonValue,
  type MessageShape,
  toJson,
} from "@bufbuild/protobuf";
import type { ReflectMessage } from "@bufbuild/protobuf/reflect";

const MAX_LENGTH = 200;

/** At most 200 characters, then `…`. Never half of a surrogate pair, which protobuf could not encode. */
export function cutText(text: string): string {
  if (text.length <= MAX_LENGTH) return text;
  const isPair = /[\ud800-\udbff]/.test(text.charAt(MAX_LENGTH - 1));
  return `${text.slice(0, isPair ? MAX_LENGTH - 1 : MAX_LENGTH)}…`;
}

/** Whether a message is shown as one value. */
export function isLeaf(desc: DescMessage): boolean {
  return desc.typeName.startsWith("google.protobuf.");
}

/** A value of a field that holds no message, as JSON. */
export function valueText(field: DescField | { readonly enum: DescEnum | undefined }, value: unknown): string {
  const names = "enum" in field ? field.enum : undefined;
  if (names !== undefined) return JSON.stringify(names.value[Number(value)]?.name ?? Number(value));
  // Bytes are kept of secrets only.
  if (value instanceof Uint8Array) return '"…"';
  return typeof value === "bigint" ? String(value) : (JSON.stringify(value) ?? "null");
}

/** An element of a list or a map, as JSON. */
export function elementText(
  field: { readonly message: DescMessage | undefined; readonly enum: DescEnum | undefined },
  element: unknown,
): string {
  return field.message === undefined ? valueText(field, element) : messageText(element as ReflectMessage);
}

/** A message in protobuf's JSON form. One that has none, as an old data directory may hold, says so. */
export function messageText({ desc, message }: ReflectMessage): string {
  try {
    return JSON.stringify(toJson(desc, message as MessageShape<DescMessage>) satisfies JsonValue);
  } catch {
    return '"(has no JSON form)"';
  }
}
