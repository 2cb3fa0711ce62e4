import { statfs } from "node:fs/promises";
import type { Clock } from "../../base/index.js";
import type { WatchHub } from "../../watch/index.js";
import type { DecisionLog } from "../decisions/decision-log.js";
import type { Head } from "../state/head.js";
import type { CallMeters } from "./call-meters.js";
import { toFamily, toLabelled, toSingle } from "./metric-definitions.js";
import type { MetricFamily } from "./metric-report.js";
import type { StoreMeter } from "./store-meter.js";
import type { UsageMeter } from "./usage-meter.js";

/** What is read at a scrape. */
export interface MeasuredServer {
  readonly head: Head;
  readonly hub: WatchHub;
  readonly clock: Clock;
  readonly calls: CallMeters;
  readonly commits: StoreMeter;
  readonly usage: UsageMeter;
  /** Undefined: answers are not written out. */
  readonly decisions: DecisionLog | undefined;
  /** See ServerOptions. */
  readonly dataDirectory: string | undefined;
  readonly version: string;
  /** The runtime's version. */
  readonly node: string;
}

/** Of the listener, which opens later than all else. */
export interface ConnectionCounts {
  readonly connections: Readonly<Record<string, number>>;
  readonly stalledClients: number;
}

/** Reads everything that a server counts, when somebody asks. */
export class ServerMetrics {
  readonly #measured: MeasuredServer;
  #headMovedMs: number;

  constructor(measured: MeasuredServer) {
    this.#measured = measured;
    const { head, clock } = measured;
    this.#headMovedMs = clock.now();
    head.announcements.subscribe(() => {
      this.#headMovedMs = clock.now();
    });
  }

  async families(listener: ConnectionCounts): Promise<MetricFamily[]> {
    const { calls, commits, usage, version, node } = this.#measured;
    return [
      toFamily("flagwire_build_info", [{ labels: { version, node }, value: 1 }]),
      ...calls.families(),
      toLabelled("flagwire_connections", "protocol", Object.entries(listener.connections)),
      toSingle("flagwire_stalled_clients_total", listener.stalledClients),
      ...this.#watch(),
      ...this.#head(),
      ...commits.families(),
      ...(await this.#disk()),
      ...this.#contents(),
      ...usage.families(),
      ...this.#decisions(),
    ];
  }

  #watch(): MetricFamily[] {
    const { hub } = this.#measured;
    const counts = hub.counts();
    return [
      toLabelled("flagwire_watchers", "environment", hub.watchersByEnvironment()),
      toSingle("flagwire_watch_frames_total", counts.frames),
      toSingle("flagwire_watch_frames_encoded_total", counts.frameEncodings),
      toLabelled("flagwire_watch_updates_total", "kind", [
        ["full", counts.fulls],
        ["delta", counts.deltas],
        ["none", counts.nones],
      ]),
      toSingle("flagwire_watch_heartbeats_total", counts.heartbeats),
      toSingle("flagwire_watch_goodbyes_total", counts.goodbyes),
    ];
  }

  #head(): MetricFamily[] {
    const { head } = this.#measured;
    const { oldest, newest } = head.store.edges();
    return [
      toSingle("flagwire_head_revision", Number(head.revision)),
      toSingle("flagwire_head_lag_revisions", Math.max(0, Number(newest - head.revision))),
      toSingle("flagwire_head_moved_timestamp_seconds", this.#headMovedMs / 1_000),
      toSingle("flagwire_store_oldest_revision", Number(oldest)),
      toSingle("flagwire_store_newest_revision", Number(newest)),
    ];
  }

  #decisions(): MetricFamily[] {
    const { decisions } = this.#measured;
    if (decisions === undefined) return [];
    return [toLabelled("flagwire_decisions_total", "result", Object.entries(decisions.counts))];
  }

  /** Nothing where it cannot be told: a scrape is not to fail for it. */
  async #disk(): Promise<MetricFamily[]> {
    const { dataDirectory } = this.#measured;
    if (dataDirectory === undefined) return [];
    try {
      const { bavail, bsize } = await statfs(dataDirectory);
      return [toSingle("flagwire_store_free_bytes", bavail * bsize)];
    } catch {
      return [];
    }
  }

  #contents(): MetricFamily[] {
    const { head } = this.#measured;
    const { catalog } = head;
    const names = catalog.environmentNames();
    return [
      toSingle("flagwire_environments", names.length),
      toLabelled(
        "flagwire_flags",
        "environment",
        names.map((name) => [name, head.snapshot(name)?.size ?? 0]),
      ),
      toLabelled(
        "flagwire_segments",
        "environment",
        names.map((name) => [name, catalog.segmentKeys(name).length]),
      ),
      toSingle("flagwire_tokens", catalog.tokenIds().length),
    ];
  }
}
