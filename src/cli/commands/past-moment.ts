import { type Timestamp, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { usageFailure } from "../failure.js";
import { parseRevision } from "../write-options.js";

/** What an answer of the past is asked for by, as the fields of a request. */
export type PastMoment = { readonly atRevision: bigint } | { readonly atTime: Timestamp };

const rfc3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

/** Reads a revision or an RFC 3339 time. A date alone is refused: midnight where? */
export function parseMoment(text: string): PastMoment {
  if (/^\d+$/.test(text)) return { atRevision: parseRevision(text) };
  const time = rfc3339.test(text) ? new Date(text.replace(" ", "T")) : new Date(Number.NaN);
  if (Number.isNaN(time.getTime())) {
    const what = JSON.stringify(text);
    throw usageFailure(
      `--at ${what} is neither a revision such as 12 nor an RFC 3339 time such as 2026-11-20T14:05:00Z`,
    );
  }
  return { atTime: timestampFromDate(time) };
}
