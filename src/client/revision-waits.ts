import type { Position } from "../../gen/flagwire/v1/watch_pb.js";
import type { Clock } from "../base/index.js";
import { checkTime } from "./check-time.js";
import { MirrorError } from "./mirror-error.js";

/** How long to wait for a revision. */
export interface WaitOptions {
  /** Default 10,000. `Infinity`: for as long as it takes. */
  readonly timeoutMs?: number;
  /** Gives the wait up. Default none. */
  readonly signal?: AbortSignal | undefined;
}

interface Wait {
  readonly revision: bigint;
  /** Of the server's position when the wait began; undefined until there is one. */
  epoch: string | undefined;
  readonly resolve: () => void;
  readonly reject: (error: MirrorError) => void;
}

const DEFAULT_TIMEOUT_MS = 10_000;

/** Those who wait for a mirror to reach a revision. Only positions that the server has told count. */
export class RevisionWaits {
  readonly #clock: Clock;
  /** Says where the mirror is, for messages. */
  readonly #describe: () => string;
  readonly #waits = new Set<Wait>();
  #position: Position | undefined;
  #isClosed = false;

  constructor(clock: Clock, describe: () => string) {
    this.#clock = clock;
    this.#describe = describe;
  }

  get size(): number {
    return this.#waits.size;
  }

  /** Whether nobody has to wait for it. */
  has(revision: bigint): boolean {
    return this.#position !== undefined && this.#position.revision >= revision;
  }

  async wait(revision: bigint, { timeoutMs = DEFAULT_TIMEOUT_MS, signal }: WaitOptions): Promise<void> {
    checkTime("timeoutMs", timeoutMs);
    if (signal?.aborted) throw this.#aborted(revision, signal);
    if (this.has(revision)) return;
    if (this.#isClosed) throw this.#closed(revision);
    let letGo = (): void => {};
    try {
      await new Promise<void>((resolve, reject) => {
        const wait: Wait = { revision, epoch: this.#position?.epoch, resolve, reject };
        const abort = (): void => reject(this.#aborted(revision, signal));
        const stopTimer = this.#clock.after(timeoutMs, () => reject(this.#late(revision, timeoutMs)));
        signal?.addEventListener("abort", abort);
        this.#waits.add(wait);
        letGo = () => {
          this.#waits.delete(wait);
          stopTimer();
          signal?.removeEventListener("abort", abort);
        };
      });
    } finally {
      letGo();
    }
  }

  /** The server has told the mirror that it is here. */
  reached(position: Position): void {
    this.#position = position;
    for (const wait of this.#waits) {
      wait.epoch ??= position.epoch;
      const isReplaced = wait.epoch !== position.epoch;
      if (!isReplaced && position.revision < wait.revision) continue;
      this.#waits.delete(wait);
      if (isReplaced) wait.reject(this.#replaced(wait.revision));
      else wait.resolve();
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const { revision, reject } of this.#waits) reject(this.#closed(revision));
  }

  #late(revision: bigint, timeoutMs: number): MirrorError {
    return new MirrorError(
      "timeout",
      `revision ${revision} did not come within ${timeoutMs / 1000} s; ${this.#describe()}`,
    );
  }

  #aborted(revision: bigint, signal: AbortSignal | undefined): MirrorError {
    return new MirrorError("aborted", `waiting for revision ${revision} was given up`, { cause: signal?.reason });
  }

  #closed(revision: bigint): MirrorError {
    return new MirrorError(
      "closed",
      `the mirror was closed before it reached revision ${revision}; ${this.#describe()}`,
    );
  }

  #replaced(revision: bigint): MirrorError {
    const message =
      `the server's data were replaced, such as by a restored backup, while revision ${revision} was waited for: ` +
      `it may never come, or be another one; ${this.#describe()}`;
    return new MirrorError("epoch", message);
  }
}

/** A revision as a mirror or an answer to a write gives it, in JSON too. Throws a `TypeError` for anything else. */
export function toRevision(revision: number | bigint | string): bigint {
  const isOne =
    typeof revision === "string"
      ? /^\d{1,20}$/.test(revision)
      : typeof revision === "bigint"
        ? revision >= 0n
        : Number.isSafeInteger(revision) && revision >= 0;
  if (!isOne)
    throw new TypeError(`not a revision: ${String(revision)}. Expected a whole number, as a write's answer has it`);
  return BigInt(revision);
}
