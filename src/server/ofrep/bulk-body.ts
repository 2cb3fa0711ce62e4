import type { Clock } from "../../base/index.js";
import type { Context, Snapshot } from "../../engine/index.js";
import { contractLimits } from "../limits.js";
import { type OrRefusal, Refusal } from "../refusal.js";
import type { ServedCounts } from "../usage/served-counts.js";
import { textOf } from "./outcome-text.js";
import { EVENTS_PATH } from "./target.js";

/** How long a page may be hidden before it should let go of its stream, in seconds. OFREP's own default. */
const INACTIVITY_DELAY_S = 120;

const tooLarge = new Refusal(
  "RESOURCE_EXHAUSTED",
  "RESPONSE_TOO_LARGE",
  `the answers are larger than ${contractLimits.bulkBytes} bytes together; ask for flags one at a time`,
);

/**
 * The answers of all flags of a snapshot, sorted by key, with where changes are told. `ticket`: what opens that for a browser,
 * where a token is needed.
 */
export function bulkBody(
  snapshot: Snapshot,
  context: Context,
  clock: Clock,
  served: ServedCounts | undefined,
  ticket: string | undefined,
): OrRefusal<Buffer> {
  const now = clock.now();
  const texts: string[] = [];
  let sizeBytes = 0;
  for (const flag of snapshot.flags()) {
    const outcome = flag.select(context, now);
    served?.add(outcome, snapshot, context);
    const text = textOf(outcome);
    sizeBytes += text.sizeBytes;
    if (sizeBytes > contractLimits.bulkBytes) return tooLarge;
    texts.push(text.json);
  }
  const query = new URLSearchParams({ environment: snapshot.environment, ...(ticket !== undefined && { ticket }) });
  const requestUri = `${EVENTS_PATH}?${query}`;
  const events = { type: "sse", endpoint: { requestUri }, inactivityDelaySec: INACTIVITY_DELAY_S };
  return Buffer.from(`{"flags":[${texts.join(",")}],"eventStreams":[${JSON.stringify(events)}]}`);
}
