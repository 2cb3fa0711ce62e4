import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { FieldViolation } from "../refusal.js";

/** Keys of flags and segments, names of environments, ids of rules. */
const KEY = /^[A-Za-z0-9._-]{1,128}$/;
const CONTROL = /\p{Cc}/u;

/** How many fields of one record are told one by one. */
const MAX_VIOLATIONS = 100;

const TIMESTAMP_RANGE = { from: -62_135_596_800n, to: 253_402_300_799n } as const;

/** Collects every offending field of a request. */
export class Violations {
  readonly #list: FieldViolation[] = [];
  #omitted = 0;

  /** What was found; the last one counts those that are too many to tell. */
  get list(): readonly FieldViolation[] {
    const field = this.#list[0]?.field.split(/[.[]/)[0] ?? "";
    return this.#omitted === 0
      ? this.#list
      : [...this.#list, { field, description: `and ${this.#omitted} more violations` }];
  }

  add(field: string, description: string): void {
    if (this.#list.length < MAX_VIOLATIONS) this.#list.push({ field, description });
    else this.#omitted++;
  }

  key(field: string, key: string): void {
    if (key === "") this.add(field, "is required");
    else if (!KEY.test(key)) this.add(field, "must be 1 to 128 characters of A-Z a-z 0-9 . _ -");
  }

  /** Free text of limited length. */
  text(field: string, text: string, maxLength: number): void {
    if (text.length > maxLength) this.add(field, `is longer than ${maxLength} characters`);
  }

  /** A short label on one line. */
  label(field: string, label: string, maxLength = 128): void {
    if (label === "") this.add(field, "is empty");
    else if (label.length > maxLength) this.add(field, `is longer than ${maxLength} characters`);
    else if (CONTROL.test(label)) this.add(field, "contains a control character");
  }

  /** The range of google.protobuf.Timestamp, which its JSON form and other programs' libraries insist on. */
  timestamp(field: string, timestamp: Timestamp | undefined): void {
    if (timestamp === undefined) return;
    const { seconds, nanos } = timestamp;
    const { from, to } = TIMESTAMP_RANGE;
    if (seconds < from || seconds > to) this.add(field, "is not within the years 1 to 9999");
    else if (nanos < 0 || nanos > 999_999_999) this.add(field, "has nanos that are not from 0 to 999,999,999");
  }

  count(field: string, count: number, max: number): void {
    if (count > max) this.add(field, `has ${count} entries; ${max} is the limit`);
  }

  /** The size of a record's encoding. */
  size(field: string, sizeBytes: number, maxBytes: number): void {
    if (sizeBytes <= maxBytes) return;
    const mebibytes = maxBytes / 1_048_576;
    this.add(field, `is ${sizeBytes} bytes when encoded; ${maxBytes} (${mebibytes} MiB) is the limit`);
  }

  /** Reports each repeated value once. */
  unique(field: string, values: readonly string[]): void {
    const seen = new Set<string>();
    const reported = new Set<string>();
    for (const value of values) {
      if (seen.has(value) && !reported.has(value)) {
        this.add(field, `${JSON.stringify(value)} is there twice`);
        reported.add(value);
      }
      seen.add(value);
    }
  }
}
