import type { AttributeValue } from "../attribute.js";
import { compareMs, compareScanned, toMoment } from "./moment.js";
import { scanTime } from "./scan-time.js";
import { type AcceptOrder, type LiteralError, type LiteralOperator, type TestRead, testRead } from "./test-value.js";

/** Compares points in time, which are texts by RFC 3339 with a zone or numbers of milliseconds since 1970. */
export function timeOperator(accept: AcceptOrder): LiteralOperator<string | number> {
  return {
    join: (tests) => testRead(readTime, tests),
    compile: (literal): TestRead<string | number> | LiteralError => {
      const moment = toMoment(literal);
      if (moment === undefined)
        return { error: "is neither an RFC 3339 time with a zone nor a number of milliseconds" };
      return (time) => accept(typeof time === "number" ? compareMs(time, moment) : compareScanned(time, moment));
    },
  };
}

/** A number as it is; a text too, but then what it says is in `scannedTime`. */
function readTime(value: AttributeValue): string | number | undefined {
  if (typeof value === "number") return value;
  return typeof value === "string" && scanTime(value) ? value : undefined;
}
