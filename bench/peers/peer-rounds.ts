import type { FlagKey, Sdk } from "./sdk.js";

/** What the process that evaluates prints. Times are of one evaluation, in nanoseconds, round by round. */
export interface PeerRounds {
  readonly contexts: number;
  readonly sdks: readonly (Pick<Sdk, "name" | "call" | "note"> & {
    readonly timesNs: Readonly<Record<FlagKey, readonly number[]>>;
  })[];
  readonly hashes: readonly { readonly name: string; readonly timesNs: readonly number[] }[];
}
