import type { Clock } from "../../base/index.js";
import type { Snapshot } from "../../engine/index.js";
import type { Head } from "../state/head.js";
import { differenceOf } from "../state/snapshot-difference.js";

/** What the flags of an environment are, as clients are told of it: another object when a flag may answer differently. */
export interface FlagConfig {
  /** Names this state: an opaque text to clients. */
  readonly tag: string;
  /** Since when it is, as far as this process knows. In milliseconds since 1970. */
  readonly sinceMs: number;
  /** The event that tells of it, one for all streams. */
  readonly event: string;
}

interface Known {
  readonly snapshot: Snapshot;
  readonly config: FlagConfig;
  /** Whether anybody may have told of it. If not, the next state is another one: to compare all flags would be for nobody. */
  isAsked: boolean;
}

/**
 * The states of all environments. Every revision makes a new snapshot of each; most change the flags of one, or of none.
 */
export class FlagConfigs {
  readonly #known = new Map<string, Known>();

  constructor(
    readonly head: Head,
    readonly clock: Clock,
  ) {
    this.#lookAtAll();
    // Also where nobody asks, to know when a state began.
    head.announcements.subscribe(() => this.#lookAtAll());
  }

  /** Undefined for an environment that does not exist. */
  of(environment: string): FlagConfig | undefined {
    const known = this.#lookAt(environment);
    if (known === undefined) return undefined;
    known.isAsked = true;
    return known.config;
  }

  #lookAt(environment: string): Known | undefined {
    const snapshot = this.head.snapshot(environment);
    const last = this.#known.get(environment);
    if (snapshot === undefined) {
      this.#known.delete(environment);
      return undefined;
    }
    if (last?.snapshot === snapshot) return last;
    const known =
      last !== undefined && isSameState(last, snapshot)
        ? { ...last, snapshot }
        : { snapshot, config: describe(snapshot, this.clock.now()), isAsked: false };
    this.#known.set(environment, known);
    return known;
  }

  #lookAtAll(): void {
    const names = this.head.catalog.environmentNames();
    for (const name of this.#known.keys()) if (!names.includes(name)) this.#known.delete(name);
    for (const name of names) this.#lookAt(name);
  }
}

function isSameState({ snapshot: before, isAsked }: Known, after: Snapshot): boolean {
  // Alike to the last flag and segment: the usual case, and cheap.
  if (before.digest === after.digest) return true;
  if (!isAsked) return false;
  const { created, updated, deleted } = differenceOf(before, after);
  return created.length + updated.length + deleted.length === 0;
}

function describe({ position, digest }: Snapshot, sinceMs: number): FlagConfig {
  const tag = `${position.epoch}-${position.revision}-${digest}`;
  const data = { type: "refetchEvaluation", etag: tag, lastModified: Math.floor(sinceMs / 1_000) };
  return { tag, sinceMs, event: `id: ${tag}\nevent: message\ndata: ${JSON.stringify(data)}\n\n` };
}

const TAG = /^(.+)-(\d{1,19})-([0-9a-f]+)$/s;

/** Whether two tags name flags that are alike, at whatever revision and in whichever process. */
export function isSameConfig(tag: string, other: string): boolean {
  const digest = TAG.exec(tag)?.[3];
  return digest !== undefined && digest === TAG.exec(other)?.[3];
}

/** The revision that a tag was made at; undefined where it is of another epoch, or is none. */
export function revisionOf(tag: string, epoch: string): bigint | undefined {
  const [, of, revision] = TAG.exec(tag) ?? [];
  return of === epoch && revision !== undefined ? BigInt(revision) : undefined;
}
