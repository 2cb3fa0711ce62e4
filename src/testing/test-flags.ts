import type { Context, Mirror, MirrorError } from "../client/index.js";
import type { SetOptions } from "./flag-state.js";
import type { TestValue, VariantName, VariantValues } from "./test-value.js";

/** Undoes an override: once, and whatever was put on top of it meanwhile stays. `using` does it at the end of a block. */
export interface Override extends Disposable {
  /** Until it is restored, or all are by `reset`, or its flag is removed. */
  readonly isActive: boolean;
  restore(): void;
}

/** Why a flag is killed. */
export interface KillOptions {
  /** Default `a test`. */
  readonly reason?: string;
}

/** How the server goes away. */
export interface OutageOptions {
  /** As if nothing had ever come: defaults, with PROVIDER_NOT_READY. Default false: the answers stay. */
  readonly cold?: boolean;
  /** Told as the event `error`. True for one as of a broken connection. Default none. */
  readonly error?: MirrorError | boolean;
}

/** The end of an outage, which `using` brings at the end of a block. */
export interface Outage extends Disposable {
  recover(): void;
}

/**
 * Flags in memory that are a mirror to whoever takes one. `set`, `remove` and `kill` change them as a server does, `override` beats
 * all rules until it is undone; the next evaluation sees either. Made by `createTestFlags`.
 */
export interface TestFlags extends Mirror {
  /**
   * Defines a flag or, where there is one, makes it serve one value or variant to everybody: it loses its rules and keeps its
   * other variants. Returns the revision. Throws a `TypeError` for a value of another type than the flag's, unless that is
   * meant, and for what is no value.
   */
  set(key: string, value: TestValue | VariantName | VariantValues, options?: SetOptions): number;
  /** Deletes a flag, and ends its overrides. Returns the revision. Throws a server's NOT_FOUND for a flag that there is not. */
  remove(key: string): number;
  /**
   * Kills a flag: it serves its off variant to everybody, or your defaults where it has none, until it is revived or set.
   * Returns the revision. Throws a server's NOT_FOUND for a flag that there is not.
   */
  kill(key: string, options?: KillOptions): number;
  /** Undoes `kill`, as `kill` does it. */
  revive(key: string): number;
  /**
   * Makes a flag serve a value or variant, or what a function says of the context, whatever its rules say; the reason is
   * STATIC. Of several overrides the last counts; where a function says undefined, the one before it, and at last the rules.
   * Flags that require it see it too. Throws for a flag that there is not, and
   * a `TypeError` like `set`; what the function throws or gives wrongly, the evaluation throws.
   */
  override(
    key: string,
    served: TestValue | VariantName | ((context: Context) => TestValue | VariantName | undefined),
    options?: SetOptions,
  ): Override;
  /** As they were when they were made: flags, no overrides, no outage, not closed, nothing asked, nothing counted. */
  reset(): void;
  /**
   * The server goes away: status `stale`, the event, the answers stay. What is set meanwhile comes when it is back, as with a
   * mirror; overrides come at once.
   */
  outage(options?: OutageOptions): Outage;
  /** The server is back: status `ready`, the events `ready` and, where something was set meanwhile, `change`. */
  recover(): void;
  /** The values of a flag's variants, by name. Throws for a flag that there is not. */
  variants(key: string): Readonly<Record<string, TestValue>>;
  /** The keys that were asked for, in the order of the first time. */
  readonly asked: readonly string[];
  /** Those of them that no flag had. */
  readonly unknown: readonly string[];
}
