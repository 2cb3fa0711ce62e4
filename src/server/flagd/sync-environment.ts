import type { Logger } from "pino";
import type { Clock, StopTimer } from "../../base/index.js";
import type { CompiledFlag, Snapshot } from "../../engine/index.js";
import type { Finding } from "../../flagd/index.js";
import type { Head } from "../state/head.js";
import type { SyncFragments } from "./sync-fragments.js";
import { SyncPayload } from "./sync-payload.js";
import { SyncReport } from "./sync-report.js";

/** What there is to send of an environment. An immutable value. */
export type SyncState =
  | SyncPayload
  /** Nobody asked for it before, or for long. */
  | { readonly kind: "preparing" }
  /** More than should be held in memory for one environment of several. */
  | { readonly kind: "too-large"; readonly sizeBytes: number };

export interface SyncEnvironmentOptions {
  readonly name: string;
  readonly head: Pick<Head, "snapshot" | "catalog">;
  readonly clock: Clock;
  readonly log: Logger;
  readonly fragments: SyncFragments;
  /** Called when `state` is another. Must not throw. */
  readonly onChange: () => void;
}

const PREPARING: SyncState = { kind: "preparing" };
/** How long flags are translated in one turn of the event loop, in milliseconds: calls wait meanwhile. */
const SLICE_MS = 5;
const MAX_PAYLOAD_BYTES = 64 * 1_024 * 1_024;
/** Everything is sent again after each change, so changes that come faster are taken together. */
const MIN_INTERVAL_MS = 100;
const INTERVAL_MS_PER_MIB = 100;
const MIB = 1_024 * 1_024;
/** How long a payload is kept that nobody follows, in milliseconds: clients that lost their stream are back by then. */
const KEPT_MS = 60_000;

/**
 * The payload of one environment, kept up to date while somebody follows it.
 *
 *     idle ──asked, news──▶ translating ──all flags of the newest snapshot──▶ resting ──interval──▶ idle
 *
 * Flags are translated in slices, always those of the head as it is then; so what is put together is of one revision.
 */
export class SyncEnvironment {
  readonly #options: SyncEnvironmentOptions;
  readonly #report: SyncReport;
  #state: SyncState | undefined = PREPARING;
  /** What `state` was made of. */
  #snapshot: Snapshot | undefined;
  #flags: readonly CompiledFlag[] = [];
  #phase: "idle" | "translating" | "resting" = "idle";
  /** The snapshot that is translated, and how far. */
  #target: Snapshot | undefined;
  #next = 0;
  #followers = 0;
  #stopTimer: StopTimer | undefined;
  #stopRelease: StopTimer | undefined;
  readonly #waiting: ((state: SyncState | undefined) => void)[] = [];

  constructor(options: SyncEnvironmentOptions) {
    this.#options = options;
    this.#report = new SyncReport(options.name, options.log);
  }

  /** Undefined: the environment is gone. */
  get state(): SyncState | undefined {
    return this.#state;
  }

  get #isCurrent(): boolean {
    const { head, name } = this.#options;
    return this.#snapshot !== undefined && this.#snapshot === head.snapshot(name);
  }

  /** Keeps it up to date until it is unfollowed as often. */
  follow(): void {
    this.#stopRelease?.();
    if (this.#followers === 0) this.#stopResting();
    // What was made for nobody since may be old.
    if (this.#followers++ === 0 && !this.#isCurrent) this.#state = PREPARING;
    this.#begin();
  }

  unfollow(): void {
    this.#followers--;
    this.#releaseLater();
  }

  /** The state as of now or later; undefined if the environment is gone. */
  current(): Promise<SyncState | undefined> {
    if (this.#followers === 0) this.#stopResting();
    this.#releaseLater();
    if (this.#isCurrent) return Promise.resolve(this.#state);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#begin();
    });
  }

  /** The head has moved. */
  moved(): void {
    if (this.#options.head.snapshot(this.#options.name) === undefined) this.close();
    else this.#begin();
  }

  /** The environment, or the server, comes to its end. */
  close(): void {
    this.#stopTimer?.();
    this.#stopRelease?.();
    this.#snapshot = undefined;
    this.#target = undefined;
    this.#flags = [];
    this.#set(undefined);
  }

  #begin(): void {
    if (this.#phase !== "idle" || this.#state === undefined || this.#isCurrent) return;
    if (this.#followers === 0 && this.#waiting.length === 0) return;
    this.#phase = "translating";
    setImmediate(this.#translateSome);
  }

  readonly #translateSome = (): void => {
    const { head, name, clock, fragments } = this.#options;
    const snapshot = head.snapshot(name);
    if (this.#state === undefined) return;
    // It may be there again by the time that the head tells.
    if (snapshot === undefined) {
      this.close();
      return;
    }
    if (snapshot !== this.#target) {
      this.#target = snapshot;
      this.#next = 0;
    }
    const flags = snapshot.flags();
    const endMs = clock.monotonicMs() + SLICE_MS;
    for (; this.#next < flags.length; this.#next++) {
      const flag = flags[this.#next];
      if (flag === undefined || fragments.get(flag) !== undefined) continue;
      fragments.make(flag, snapshot, head.catalog);
      if (clock.monotonicMs() < endMs) continue;
      setImmediate(this.#translateSome);
      return;
    }
    this.#target = undefined;
    this.#snapshot = snapshot;
    this.#finish(flags);
  };

  /** Snapshots share the list of their flags where what came between concerned none of them. */
  #finish(flags: readonly CompiledFlag[]): void {
    const isSame = flags === this.#flags && this.#state !== PREPARING;
    this.#flags = flags;
    this.#set(isSame ? this.#state : this.#join(flags));
    if (isSame) {
      this.#phase = "idle";
      this.#begin();
    } else {
      this.#rest();
    }
  }

  #rest(): void {
    const sizeBytes = this.#state?.kind === "ready" ? this.#state.sizeBytes : 0;
    const intervalMs = MIN_INTERVAL_MS + (sizeBytes / MIB) * INTERVAL_MS_PER_MIB;
    this.#phase = "resting";
    this.#stopTimer = this.#options.clock.after(intervalMs, () => {
      this.#phase = "idle";
      this.#begin();
    });
  }

  /** Whoever follows has had a payload just now; who comes first has had none. */
  #stopResting(): void {
    if (this.#phase !== "resting") return;
    this.#stopTimer?.();
    this.#phase = "idle";
  }

  /** Lets go of what nobody follows: a payload may be large, and holds a whole snapshot. */
  #releaseLater(): void {
    if (this.#followers > 0 || this.#state === undefined) return;
    this.#stopRelease?.();
    this.#stopRelease = this.#options.clock.after(KEPT_MS, () => {
      if (this.#followers > 0 || this.#state === undefined || this.#phase === "translating") return;
      this.#snapshot = undefined;
      this.#flags = [];
      this.#state = PREPARING;
    });
  }

  /** Everything as one payload: that of before, where it is the same. */
  #join(flags: readonly CompiledFlag[]): SyncState {
    const { fragments } = this.#options;
    const members: Buffer[] = [];
    const left: Finding[] = [];
    const split: string[] = [];
    let sizeBytes = 0;
    for (const flag of flags) {
      const fragment = fragments.get(flag);
      for (const finding of fragment?.left ?? []) left.push(finding);
      if (fragment?.bytes === undefined) continue;
      sizeBytes += fragment.bytes.byteLength;
      members.push(fragment.bytes);
      if (fragment.hasShares) split.push(flag.key);
    }
    this.#report.leave(left);
    this.#report.split(split);
    if (sizeBytes > MAX_PAYLOAD_BYTES) return { kind: "too-large", sizeBytes };
    const payload = SyncPayload.of(members);
    this.#report.measure(payload.sizeBytes);
    const before = this.#state;
    return before?.kind === "ready" && before.frame.equals(payload.frame) ? before : payload;
  }

  #set(state: SyncState | undefined): void {
    const isOther = state !== this.#state;
    this.#state = state;
    for (const resolve of this.#waiting.splice(0)) resolve(state);
    if (isOther) this.#options.onChange();
  }
}
