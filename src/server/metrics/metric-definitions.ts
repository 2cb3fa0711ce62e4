import type { MetricFamily, MetricSample, MetricType } from "./metric-report.js";

/** What a metric is called, and what it says. */
export interface MetricDefinition {
  readonly type: MetricType;
  /** Every label that its samples have. None holds anything that a client can make up. */
  readonly labels: readonly string[];
  readonly help: string;
}

/** All metrics of our own; docs/metrics.md has them with those of the process. */
export const metricDefinitions = {
  flagwire_build_info: { type: "gauge", labels: ["version", "node"], help: "Always 1; the labels say what runs." },
  flagwire_calls_started_total: {
    type: "counter",
    labels: ["service", "method", "protocol"],
    help: "Calls that have begun.",
  },
  flagwire_calls_total: {
    type: "counter",
    labels: ["service", "method", "protocol", "code"],
    help: "Calls that have ended, streams too, by gRPC status code.",
  },
  flagwire_calls_in_flight: {
    type: "gauge",
    labels: ["service", "method", "protocol"],
    help: "Calls that have begun and not ended: open streams too.",
  },
  flagwire_call_duration_seconds: {
    type: "histogram",
    labels: ["service", "method", "protocol"],
    help: "From the headers of a call to its answer; not of streams of answers, which last.",
  },
  flagwire_http_responses_total: {
    type: "counter",
    labels: ["status"],
    help: "Answers over HTTP/1.1 by HTTP status, whatever was asked for.",
  },
  flagwire_access_refused_total: {
    type: "counter",
    labels: ["reason"],
    help: "Calls that were refused for who called, by the reason of the refusal.",
  },
  flagwire_connections: {
    type: "gauge",
    labels: ["protocol"],
    help: "Open connections by what they speak; undecided have not said yet.",
  },
  flagwire_stalled_clients_total: {
    type: "counter",
    labels: [],
    help: "Clients that were cut off because they did not read.",
  },
  flagwire_watchers: { type: "gauge", labels: ["environment"], help: "Open streams of Watch." },
  flagwire_watch_frames_total: { type: "counter", labels: [], help: "Messages that were handed to watchers." },
  flagwire_watch_frames_encoded_total: {
    type: "counter",
    labels: [],
    help: "Messages that were encoded: once for all that watch the same.",
  },
  flagwire_watch_updates_total: {
    type: "counter",
    labels: ["kind"],
    help: "Updates that watchers were sent: full is everything, delta what changed, none a position that was up to date.",
  },
  flagwire_watch_heartbeats_total: { type: "counter", labels: [], help: "Heartbeats that watchers were sent." },
  flagwire_watch_goodbyes_total: {
    type: "counter",
    labels: [],
    help: "Streams of Watch that the server ended with a goodbye.",
  },
  flagwire_head_revision: { type: "gauge", labels: [], help: "The newest revision that this process answers with." },
  flagwire_head_lag_revisions: {
    type: "gauge",
    labels: [],
    help: "Revisions that are durable and that this process does not answer with yet.",
  },
  flagwire_head_moved_timestamp_seconds: {
    type: "gauge",
    labels: [],
    help: "When this process last moved to another revision, or started.",
  },
  flagwire_store_oldest_revision: { type: "gauge", labels: [], help: "The oldest revision whose history is kept." },
  flagwire_store_newest_revision: { type: "gauge", labels: [], help: "The newest revision that is durable." },
  flagwire_store_commits_total: {
    type: "counter",
    labels: ["result"],
    help: "Transactions that were tried, by what became of them.",
  },
  flagwire_store_commit_duration_seconds: {
    type: "histogram",
    labels: [],
    help: "From asking for a commit until it was durable, or refused.",
  },
  flagwire_store_free_bytes: {
    type: "gauge",
    labels: [],
    help: "What is free on the disk of the data directory. Absent where there is none.",
  },
  flagwire_environments: { type: "gauge", labels: [], help: "Environments." },
  flagwire_flags: { type: "gauge", labels: ["environment"], help: "Flags." },
  flagwire_segments: { type: "gauge", labels: ["environment"], help: "Segments." },
  flagwire_tokens: { type: "gauge", labels: [], help: "Tokens that were not revoked, expired ones too." },
  flagwire_usage_reports_total: {
    type: "counter",
    labels: ["result"],
    help: "Reports of usage that were taken: counted, or repeated, which were counted before.",
  },
  flagwire_usage_evaluations_total: {
    type: "counter",
    labels: [],
    help: "Evaluations that mirrors have reported, of flags that exist.",
  },
  flagwire_decisions_total: {
    type: "counter",
    labels: ["result"],
    help: "Answers that were to be written out: written, or lost. Absent where none are.",
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

export type MetricName = keyof typeof metricDefinitions;

export function toFamily(name: MetricName, samples: readonly MetricSample[]): MetricFamily {
  const { help, type } = metricDefinitions[name];
  return { name, help, type, samples };
}

/** A metric without labels. */
export function toSingle(name: MetricName, value: number): MetricFamily {
  return toFamily(name, [{ labels: {}, value }]);
}

/** A metric with one label, by its values. */
export function toLabelled(name: MetricName, label: string, values: Iterable<readonly [string, number]>): MetricFamily {
  return toFamily(
    name,
    Array.from(values, ([text, value]) => ({ labels: { [label]: text }, value })),
  );
}
