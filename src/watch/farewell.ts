import { create } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import { type GoodbyeReason, GoodbyeSchema } from "../../gen/flagwire/v1/watch_pb.js";
import type { Random } from "../base/index.js";
import type { Tally } from "./counts.js";
import { Frame } from "./frame.js";
import { jitter } from "./options.js";

/** Why streams end, and when their clients may come back. */
export interface Farewell {
  readonly reason: GoodbyeReason;
  readonly retryAfterMs: number;
}

/** The goodbye of one stream: each client is asked to wait for another time. */
export function farewellFrame({ reason, retryAfterMs }: Farewell, random: Random, tally: Tally): Frame {
  const retryAfter = retryAfterMs > 0 ? toDuration(jitter(retryAfterMs, 0.5, random)) : undefined;
  tally.goodbyes++;
  return new Frame({ kind: "goodbye", goodbye: create(GoodbyeSchema, { reason, retryAfter }) }, tally);
}

function toDuration(milliseconds: number): Duration {
  const whole = Math.floor(milliseconds / 1000);
  return create(DurationSchema, { seconds: BigInt(whole), nanos: Math.floor((milliseconds - whole * 1000) * 1e6) });
}
