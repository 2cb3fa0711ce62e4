import type { Position } from "../../gen/flagwire/v1/watch_pb.js";
import { type Clock, RevisionWaits, stayAlive, toRevision, type WaitOptions } from "../client/index.js";

/** A mirror's waits for revisions, of flags that may be as new again. */
export class SyncWaits {
  readonly #create: () => RevisionWaits;
  #current: RevisionWaits;
  /** Of before it was as new, as long as somebody waits there. */
  #earlier: readonly RevisionWaits[] = [];

  constructor(clock: Clock, describe: () => string) {
    this.#create = () => new RevisionWaits(clock, describe);
    this.#current = this.#create();
  }

  async wait(revision: number | bigint | string, options: WaitOptions): Promise<void> {
    const wanted = toRevision(revision);
    const release = stayAlive();
    try {
      await this.#current.wait(wanted, options);
    } finally {
      release();
    }
  }

  reached(position: Position): void {
    for (const waits of [...this.#earlier, this.#current]) waits.reached(position);
    this.#earlier = [];
  }

  /** From now on nothing was reached; who waits goes on waiting. */
  restart(): void {
    if (this.#current.size > 0) this.#earlier = [...this.#earlier, this.#current];
    this.#current = this.#create();
  }

  close(): void {
    for (const waits of [...this.#earlier, this.#current]) waits.close();
    this.#earlier = [];
  }

  reopen(): void {
    this.#current = this.#create();
  }
}
