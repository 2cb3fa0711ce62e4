import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { ListFlagsResponse } from "../../../gen/flagwire/v1/admin_service_pb.js";
import { type Flag, FlagKind } from "../../../gen/flagwire/v1/flag_pb.js";
import type { Targeting } from "../../../gen/flagwire/v1/targeting_pb.js";
import { servedToAll } from "../../engine/index.js";

export const scanStatuses = ["known", "unknown", "expired", "serves-one-variant"] as const;
export type ScanStatus = (typeof scanStatuses)[number];

/** What is wrong with asking for a flag. */
export type ScanProblem = Exclude<ScanStatus, "known">;

/** How a flag stands in an environment. */
export interface FlagStanding {
  /** The gravest first. */
  readonly problems: readonly ScanProblem[];
  /** What everyone gets, where everyone gets the same of a flag that was made to be removed. */
  readonly servedVariant: string | undefined;
}

const UNKNOWN: FlagStanding = { problems: ["unknown"], servedVariant: undefined };

/** The flags of an environment by their keys. */
export class FlagStandings {
  readonly #byKey = new Map<string, FlagStanding>();

  constructor({ flags, targetings }: ListFlagsResponse, nowMs: number) {
    for (const [index, flag] of flags.entries()) this.#byKey.set(flag.key, standingOf(flag, targetings[index], nowMs));
  }

  readonly isKnown = (key: string): boolean => this.#byKey.has(key);

  keys(): readonly string[] {
    return [...this.#byKey.keys()];
  }

  of(key: string): FlagStanding {
    return this.#byKey.get(key) ?? UNKNOWN;
  }
}

/** Whether a flag was made to be removed. The others may serve everyone the same for years. */
export function isTemporary({ kind }: Flag): boolean {
  return kind === FlagKind.RELEASE || kind === FlagKind.EXPERIMENT;
}

function standingOf(flag: Flag, targeting: Targeting | undefined, nowMs: number): FlagStanding {
  const isExpired = flag.expiresAt !== undefined && timestampMs(flag.expiresAt) <= nowMs;
  const servedVariant = isTemporary(flag) ? servedToAll(targeting) : undefined;
  const problems: ScanProblem[] = [];
  if (isExpired) problems.push("expired");
  if (servedVariant !== undefined) problems.push("serves-one-variant");
  return { problems, servedVariant };
}
