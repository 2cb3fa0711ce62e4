import type { FlagState } from "../../gen/flagwire/v1/watch_pb.js";
import { serving } from "./flag-state.js";
import { type Compute, OVERRIDE_VARIANT, type ShownFlag } from "./shown-flags.js";
import type { Override } from "./test-flags.js";
import type { TestValue, VariantName } from "./test-value.js";

interface Entry {
  readonly key: string;
  readonly served: TestValue | VariantName | Compute;
}

/** The overrides of flags, by key; of several the last counts. */
export class Overrides {
  readonly #entries = new Map<string, readonly Entry[]>();

  /** `changed` is told when it is taken off again. */
  add(key: string, served: Entry["served"], changed: () => void): Override {
    const entry: Entry = { key, served };
    this.#entries.set(key, [...this.#of(key), entry]);
    const has = (): boolean => this.#of(key).includes(entry);
    const restore = (): void => {
      this.#remove(entry);
      changed();
    };
    return {
      get isActive() {
        return has();
      },
      restore,
      [Symbol.dispose]: restore,
    };
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

  /** After the first time, does nothing. */
  #remove(entry: Entry): void {
    const left = this.#of(entry.key).filter((one) => one !== entry);
    if (left.length > 0) this.#entries.set(entry.key, left);
    else this.#entries.delete(entry.key);
  }

  #of(key: string): readonly Entry[] {
    return this.#entries.get(key) ?? [];
  }
}

/** No value is a function. */
export function isCompute(served: TestValue | VariantName | Compute): served is Compute {
  return typeof served === "function";
}
