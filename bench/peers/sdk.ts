import type { Caller } from "../evaluations/callers.js";

/** How often each answer came; of a boolean flag `[true]`, of the others `[first, second, third, special]`. */
export type Counts = readonly number[];

/** Asks for one flag for every caller, `passes` times, in a loop of its own. */
export type Run = (passes: number) => Counts | Promise<Counts>;

/** What every SDK is asked, by the key of the flag. */
export type FlagKey = "static" | "two-conditions" | "rollout" | "ten-rules";

/** One SDK with its flags loaded and its contexts prepared, as its documentation says. */
export interface Sdk extends AsyncDisposable {
  /** The npm package. */
  readonly name: string;
  /** The call that is timed. */
  readonly call: string;
  /** How the SDK was given its flags, and what it does that the others do not. */
  readonly note: string;
  readonly runs: Readonly<Record<FlagKey, Run>>;
}

export type OpenSdk = (callers: readonly Caller[]) => Promise<Sdk>;
