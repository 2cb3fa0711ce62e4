import { create } from "@bufbuild/protobuf";
import { PositionSchema, type WatchItem } from "../../gen/flagwire/v1/watch_pb.js";
import { emptySnapshot, type Snapshot } from "../../src/engine/index.js";
import type { WatchHub } from "../../src/watch/index.js";

/** The server's part in front of a hub: keeps the snapshot of one environment and publishes what is committed. */
export class Publisher {
  #snapshot: Snapshot;

  constructor(
    readonly hub: WatchHub,
    items: readonly WatchItem[] = [],
    revision = 1,
    readonly environment = "production",
    readonly epoch = "epoch-1",
  ) {
    this.#snapshot = emptySnapshot(environment).apply("full", items, this.#position(BigInt(revision)));
    const { position, digest } = this.#snapshot;
    hub.reset(environment, { position, digest, items: this.#snapshot.items() });
  }

  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  get revision(): number {
    return Number(this.#snapshot.position.revision);
  }

  /** Commits the next revision. Without items it is about something else. */
  commit(...items: WatchItem[]): void {
    this.#commit(items, false);
  }

  /** As `commit`, of news that wait behind nobody's. */
  commitUrgently(...items: WatchItem[]): void {
    this.#commit(items, true);
  }

  #commit(items: readonly WatchItem[], isUrgent: boolean): void {
    const position = this.#position(this.#snapshot.position.revision + 1n);
    this.#snapshot = this.#snapshot.apply("delta", items, position);
    this.hub.publish(this.environment, { position, digest: this.#snapshot.digest, items, isUrgent });
  }

  #position(revision: bigint) {
    return create(PositionSchema, { epoch: this.epoch, revision });
  }
}
