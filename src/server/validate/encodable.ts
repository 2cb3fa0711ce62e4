import { isMessage } from "@bufbuild/protobuf";
import { invalidArgument } from "../environment.js";
import type { Refusal } from "../refusal.js";

/** Half of a character beyond 16 bits. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Why text that is not `isEncodable` is refused. */
export const UNENCODABLE = "holds half of a surrogate pair, which is not valid Unicode";

/** Whether UTF-8 can hold a text. */
export function isEncodable(text: string): boolean {
  return !LONE_SURROGATE.test(text);
}

/**
 * The refusal of a request with text that UTF-8 cannot hold. JSON can: decoding refuses such text in ordinary fields, but
 * not inside values of any type.
 */
export function refuseUnencodable(request: unknown): Refusal | undefined {
  const field = findUnencodable(request, "")?.slice(1);
  return field === undefined ? undefined : invalidArgument([{ field, description: UNENCODABLE }]);
}

/** The path of the first such text. */
function findUnencodable(value: unknown, path: string): string | undefined {
  if (typeof value === "string") return isEncodable(value) ? undefined : path;
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return undefined;
  for (const [key, member] of Object.entries(value)) {
    if (!isEncodable(key)) return path;
    const found = findUnencodable(member, path + step(value, key));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** How a member is reached, in the names of the proto. A value of any type is one field, and so is a choice. */
function step(parent: object, key: string): string {
  if (Array.isArray(parent)) return `[${key}]`;
  if (!isMessage(parent)) return "case" in parent ? "" : `[${JSON.stringify(key)}]`;
  if (parent.$typeName.startsWith("google.protobuf.") || key === "kind") return "";
  return `.${key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`;
}
