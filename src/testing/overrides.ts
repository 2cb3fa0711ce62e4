import type { FlagState } from "../../gen/flagwire/v1/watch_pb.js";
import { serving } from "./flag-state.js";
import { type Compute, OVERRIDE_VARIANT, type ShownFlag } from "./shown-flags.js";
import type { TestValue, VariantName } from "./test-value.js";

interface Entry {
  readonly served: TestValue | VariantName | Compute;
}

/** The overrides of flags, by key; of several the last counts. */
export class Overrides {
  readonly #entries = new Map<string, Entry[]>();

  /** Returns what takes it off again; calling that again does nothing. */
  add(key: string, served: TestValue | VariantName | Compute): () => void {
    const entry: Entry = { served };
    this.#entries.set(key, [...(this.#entries.get(key) ?? []), entry]);
    return () => {
      const left = (this.#entries.get(key) ?? []).filter((one) => one !== entry);
      if (left.length > 0) this.#entries.set(key, left);
      else this.#entries.delete(key);
    };
  }

  /** The flag as its overrides want it shown. Its type may have changed since: whoever changed it meant that. */
  apply(key: string, flag: FlagState): ShownFlag {
    const computes: Compute[] = [];
    let state = flag;
    for (const { served } of (this.#entries.get(key) ?? []).toReversed()) {
      if (!isCompute(served)) {
        state = serving(flag, served, { newName: OVERRIDE_VARIANT, changeType: true });
        break;
      }
      computes.push(served);
    }
    return computes.length === 0 ? { kind: "fixed", state } : { kind: "computed", flag, computes, state };
  }

  removeAll(key: string): void {
    this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }
}

/** No value is a function. */
export function isCompute(served: TestValue | VariantName | Compute): served is Compute {
  return typeof served === "function";
}
