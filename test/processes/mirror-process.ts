import type { MirrorOptions } from "../../src/client/index.js";
import type { MirrorSighting } from "../history-checker/index.js";
import { Child } from "./child.js";
import type { MirrorLine } from "./children/mirror.js";
import type { Recording } from "./recording.js";

/** Options that survive being JSON. */
export type MirrorSettings = Pick<
  MirrorOptions,
  "address" | "environment" | "cache" | "staleAfterMs" | "firstMessageTimeoutMs" | "backoff" | "cacheDelayMs"
>;

/** A mirror in a process of its own. */
export class MirrorProcess {
  readonly child: Child;
  readonly logs: string[] = [];
  readonly statuses: string[] = [];
  counts = { fulls: 0, attempts: 0, resyncs: 0 };
  readonly #sightings: MirrorSighting[] = [];
  readonly #record: { client: string; environment: string; sightings: MirrorSighting[]; live: boolean };

  constructor(name: string, command: readonly string[], settings: MirrorSettings, recording: Recording) {
    const { environment = "production" } = settings;
    this.#record = { client: name, environment, sightings: this.#sightings, live: false };
    recording.mirrors.push(this.#record);
    this.child = new Child([...command, JSON.stringify(settings)], (text) =>
      this.#read(JSON.parse(text) as MirrorLine),
    );
  }

  get newest(): MirrorSighting | undefined {
    return this.#sightings.at(-1);
  }

  get revision(): number {
    return this.newest?.revision ?? 0;
  }

  get status(): string | undefined {
    return this.statuses.at(-1);
  }

  /** It has come to where everybody must come to. */
  settle(): void {
    this.#record.live = true;
  }

  #read(line: MirrorLine): void {
    if ("log" in line) {
      this.logs.push(line.log);
      return;
    }
    this.#sightings.push(line.seen);
    if (this.status !== line.status) this.statuses.push(line.status);
    this.counts = line.counts;
  }
}
