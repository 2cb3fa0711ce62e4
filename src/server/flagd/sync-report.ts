import type { Logger } from "pino";
import type { Finding } from "../../flagd/index.js";
import { MAX_RECEIVED_BYTES } from "./sync-fragments.js";

/** How many flags one line of the log names. */
const MAX_NAMED = 20;

/** Tells the log what the clients of one environment cannot be sent: once, until it is something else. */
export class SyncReport {
  readonly #environment: string;
  readonly #log: Logger;
  #left = "";
  #isSplit = false;
  #isLarge = false;

  constructor(environment: string, log: Logger) {
    this.#environment = environment;
    this.#log = log;
  }

  /** The flags that are not in the payload, each with a reason or more. */
  leave(findings: readonly Finding[]): void {
    const reasons = new Map<string, string>();
    for (const { key, path, description } of findings) {
      if (!reasons.has(key)) reasons.set(key, path === "" ? description : `${path}: ${description}`);
    }
    const left = [...reasons].map((entry) => entry.join(" ")).join("\n");
    if (left === this.#left) return;
    this.#left = left;
    if (left === "") return;
    const details = {
      environment: this.#environment,
      count: reasons.size,
      flags: Object.fromEntries([...reasons].slice(0, MAX_NAMED)),
    };
    const what = reasons.size === 1 ? "a flag" : `${reasons.size} flags`;
    this.#log.warn(
      details,
      `flagd cannot express ${what} of ${this.#environment}: clients that evaluate in process do not get them; resolve them by RPC (resolver "rpc") or OFREP`,
    );
  }

  /** The flags with shares, which not all clients hash alike. Told once: nothing that changes here would end it. */
  split(keys: readonly string[]): void {
    if (keys.length === 0 || this.#isSplit) return;
    this.#isSplit = true;
    this.#log.warn(
      { environment: this.#environment, count: keys.length, flags: keys.slice(0, MAX_NAMED) },
      `flags of ${this.#environment} have shares: clients that evaluate in process in Python (provider 0.6 and later), Rust (0.3 and later) or Java (before 0.13) bucket otherwise and have an error; they should resolve by RPC or OFREP`,
    );
  }

  measure(sizeBytes: number): void {
    const isLarge = sizeBytes > MAX_RECEIVED_BYTES;
    if (isLarge && !this.#isLarge) {
      this.#log.warn(
        { environment: this.#environment, sizeBytes, limitBytes: MAX_RECEIVED_BYTES },
        `the flags of ${this.#environment} are more than flagd's clients receive by default: raise their limit, spread the flags over environments, or resolve by RPC`,
      );
    }
    this.#isLarge = isLarge;
  }
}
