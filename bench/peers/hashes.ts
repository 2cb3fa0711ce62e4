import { murmur3 } from "../../src/engine/index.js";
import type { Caller } from "../evaluations/callers.js";
import type { Run } from "./sdk.js";

/** What a rollout cannot be faster than. */
export interface BareHash {
  readonly name: string;
  /** Counts the odd hashes. */
  readonly run: Run;
}

const salt = "rollout";

/** The hash of the rollout alone, each in a loop of its own. The texts have been JSON, as the callers have. */
export function createHashes(callers: readonly Caller[]): readonly BareHash[] {
  const texts: readonly string[] = JSON.parse(JSON.stringify(callers.map(({ targetingKey }) => salt + targetingKey)));
  return [
    {
      name: "bare murmur3 of a ready text",
      run(passes) {
        let odd = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const text of texts) odd += murmur3(text) & 1;
        }
        return [odd];
      },
    },
    {
      name: "bare murmur3 of salt + key",
      run(passes) {
        let odd = 0;
        for (let pass = 0; pass < passes; pass++) {
          for (const caller of callers) odd += murmur3(salt + caller.targetingKey) & 1;
        }
        return [odd];
      },
    },
  ];
}
