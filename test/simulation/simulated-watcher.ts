import { setMaxListeners } from "node:events";
import { create } from "@bufbuild/protobuf";
import { WatchRequestSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { type Position, PositionSchema } from "../../gen/flagwire/v1/watch_pb.js";
import type { Chance } from "./chance.js";
import type { Link } from "./network.js";
import { MOST_PAUSE_MS } from "./plan.js";
import type { SimulatedClock } from "./simulated-clock.js";

/** A client that keeps no flags, only its position: it watches, and comes back whenever its stream ends. */
export class SimulatedWatcher {
  #position: Position | undefined;
  readonly #seen: Position[] = [];
  readonly #stop = new AbortController();

  constructor(
    readonly environment: string,
    readonly link: Link,
    readonly clock: SimulatedClock,
    readonly chance: Chance,
  ) {
    // Half-open streams hold it longer.
    setMaxListeners(0, this.#stop.signal);
    void this.#run();
  }

  get isClosed(): boolean {
    return this.#stop.signal.aborted;
  }

  close(): void {
    this.#stop.abort();
  }

  /** The next stream is asked for from somewhere else: from nowhere, long ago, another epoch, or the future. */
  mislead(): string {
    const kind = this.chance.pick(["nowhere", "before", "another epoch", "the future"] as const);
    const { epoch = "none", revision = 1n } = this.#position ?? {};
    if (kind === "nowhere") this.#position = undefined;
    else if (kind === "before" && this.#seen.length > 0) this.#position = this.chance.pick(this.#seen);
    else if (kind === "another epoch") this.#position = create(PositionSchema, { epoch: "unheard of", revision });
    else this.#position = create(PositionSchema, { epoch, revision: revision + BigInt(this.chance.integer(1, 9)) });
    return kind;
  }

  /** Asks once for what is new, on a stream of its own. Never rejects. */
  async poll(): Promise<void> {
    const request = create(WatchRequestSchema, { ...this.#request(), once: true });
    try {
      for await (const _message of this.link.watch(request, this.#stop.signal));
    } catch {
      // It was cut off, or refused.
    }
  }

  async #run(): Promise<void> {
    while (!this.isClosed) {
      let hasUpdate = false;
      try {
        for await (const { commit, heartbeat } of this.link.watch(this.#request(), this.#stop.signal)) {
          const position = commit?.position ?? heartbeat?.position;
          if (position === undefined) continue;
          hasUpdate = true;
          this.#position = position;
          this.#seen.push(position);
        }
      } catch {
        // It was cut off, or refused.
      }
      await this.clock.sleep(hasUpdate ? this.chance.pick([0, 10, MOST_PAUSE_MS]) : MOST_PAUSE_MS);
    }
  }

  #request() {
    const position = this.#position;
    return create(WatchRequestSchema, { environment: this.environment, ...(position && { position }) });
  }
}
