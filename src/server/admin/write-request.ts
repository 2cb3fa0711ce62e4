import { createHash } from "node:crypto";
import { type DescMessage, type Message, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type { FieldViolation } from "../refusal.js";
import { Violations } from "../validate/violations.js";

/** The fields that every write has, as AdminService describes them. */
export interface WriteFields {
  readonly expectedRevision?: bigint | undefined;
  readonly idempotencyKey: string;
  readonly comment: string;
  readonly dryRun: boolean;
}

export type WriteRequest = Message & WriteFields;

/** What is wrong with those fields. */
export function checkWriteFields(fields: WriteFields): readonly FieldViolation[] {
  const violations = new Violations();
  violations.text("idempotency_key", fields.idempotencyKey, 128);
  violations.text("comment", fields.comment, 1_024);
  return violations.list;
}

/** Tells a repetition of a request from another one under the same idempotency key. */
export function fingerprintOf<D extends DescMessage>(schema: D, requests: readonly MessageShape<D>[]): string {
  const hash = createHash("sha256").update(schema.typeName);
  for (const request of requests) hash.update(toBinary(schema, toCanonical(request)));
  return hash.digest("hex");
}

/** A copy in which the entries of maps are sorted: some programs write them in another order each time. */
function toCanonical<T>(value: T): T;
function toCanonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toCanonical);
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  const copy: object = Object.create(Object.getPrototypeOf(value));
  // Defined, not assigned: a key may be `__proto__`.
  for (const [key, member] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const property = { value: toCanonical(member), enumerable: true, writable: true, configurable: true };
    Object.defineProperty(copy, key, property);
  }
  return copy;
}
