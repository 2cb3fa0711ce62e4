import type { Flag } from "../../gen/flagwire/v1/flag_pb.js";
import type { Segment } from "../../gen/flagwire/v1/segment_pb.js";
import type { Targeting } from "../../gen/flagwire/v1/targeting_pb.js";
import type { Problem } from "../engine/index.js";

/** The flags of one environment, as far as an export asks for them. */
export interface FlagSource {
  flag(key: string): Flag | undefined;
  targeting(flagKey: string): Targeting | undefined;
  segment(key: string): Segment | undefined;
  /** Why a flag is malformed; empty where it is not. */
  problems(flagKey: string): readonly Problem[];
}
