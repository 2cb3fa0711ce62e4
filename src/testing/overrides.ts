import type { FlagState } from "../../gen/flagwire/v1/watch_pb.js";
import { serving } from "./flag-state.js";
import { type Compute, OVERRIDE_VARIANT, type ShownFlag } from "./shown-flags.js";
import type { TestValue, VariantName } from "./test-value.js";

interface Entry {
  readonly key: string;
  readonly served: TestValue | VariantName | Compute;
}

/** The overrides of flags, by key; of several the last counts. */
export class Overrides {
  readonly #entries = new Map<string, readonly Entry[]>();

  add(key: string, served: TestValue | VariantName | Compute): Entry {
    const entry: Entry = { key, served };
    this.#entries.set(key, [...this.#of(key), entry]);
    return entry;
  }

  has(entry: Entry): boolean {
    return this.#of(entry.key).includes(entry);
  }

  /** Takes it off again; after that, does nothing. */
  remove(entry: Entry): void {
    const left = this.#of(entry.key).filter((one) => one !== entry);
    if (left.length > 0) this.#entries.set(entry.key, left);
    else this.#entries.delete(entry.key);
  }

  /** The flag as its overrides want it shown. Its type may have changed since: whoever changed it meant that. */
  apply(key: string, flag: FlagState): ShownFlag {
    const computes: Compute[] = [];
    let state = flag;
    for (const { served } of this.#of(key).toReversed()) {
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

  #of(key: string): readonly Entry[] {
    return this.#entries.get(key) ?? [];
  }
}

/** No value is a function. */
export function isCompute(served: TestValue | VariantName | Compute): served is Compute {
  return typeof served === "function";
}
