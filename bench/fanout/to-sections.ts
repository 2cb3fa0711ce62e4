import { quantile, toMeasure, toRatio } from "../report/measure.js";
import type { Cell, Section } from "../report/section.js";
import { mayBeApart } from "../watchers/layouts.js";
import type { Encodings } from "./count-encodings.js";
import type { ChangeTimes, Sampled } from "./fanout-target.js";

export interface EvaluateTimes {
  readonly quiet: readonly number[];
  readonly during: readonly number[];
}

/** Servers with the same watchers; the first is Flagwire, the second what it is compared with. */
export interface CaseResult {
  readonly layout: { readonly name: string };
  readonly targets: readonly { readonly name: string; readonly sampled: Sampled }[];
  /** Connections that had to be opened again. */
  readonly failures: number;
  readonly watcherBytes: number;
  /** After all changes. */
  readonly watcherBytesAfterwards: number;
  readonly evaluate: EvaluateTimes;
}

export interface Conditions {
  readonly isPinned: boolean;
  readonly withWorkers: boolean;
  readonly workers: number;
  readonly blocks: number;
  readonly changesInBlock: number;
  readonly bareChangesInBlock: number;
}

const asBare = "to the last, as bare grpc-js";
const memory = "memory of a watcher";
const bytes = "bytes of a change";

export function toSections(
  results: readonly CaseResult[],
  encodings: Encodings,
  conditions: Conditions,
): readonly Section[] {
  return [toTimes(results, conditions), toCosts(results, encodings), toEvaluate(results)];
}

function toTimes(results: readonly CaseResult[], conditions: Conditions): Section {
  const { isPinned, withWorkers, workers, blocks, changesInBlock, bareChangesInBlock } = conditions;
  const rows = results.flatMap(({ layout, targets }) =>
    targets.map(({ name, sampled: { changes } }, index): Cell[] => {
      const last = changes.map(lastOf);
      const reference = targets[1]?.sampled.changes ?? [];
      return [
        `${name}, ${layout.name}`,
        inMs(
          changes.map(({ deliveries }) => deliveries[0] ?? Number.NaN),
          0.5,
        ),
        inMs(
          changes.map(({ deliveries }) => quantile(deliveries, 0.5)),
          0.5,
        ),
        inMs(last, 0.5),
        inMs(last, 0.99),
        inMs(last, 1),
        inMs(
          changes.flatMap(({ deliveries }) => deliveries),
          0.99,
        ),
        toRatio(
          blockMedians(last, index === 0 ? changesInBlock : bareChangesInBlock),
          blockMedians(reference.map(lastOf), bareChangesInBlock),
        ),
      ];
    }),
  );
  const answered = results.map(({ layout, targets }) => {
    const changes = targets[0]?.sampled.changes ?? [];
    const afterAnswer = changes.map((change) => lastOf(change) - change.answered);
    const p50 = quantile(
      changes.map(({ answered }) => answered),
      0.5,
    );
    return `${targets[0]?.name}, ${layout.name}: the writer's answer came after ${p50.toFixed(1)} ms (p50), the last watcher's update ${quantile(afterAnswer, 0.5).toFixed(1)} ms (p50) and ${quantile(afterAnswer, 0.99).toFixed(1)} ms (p99) later.`;
  });
  return {
    name: "fanout",
    title: "From a write to 10,000 watchers",
    columns: [
      "server and watchers",
      "to the first, p50",
      "to half, p50",
      "to the last, p50",
      "p99",
      "max",
      "all watchers, p99",
      asBare,
    ],
    rows,
    notes: [
      `Since the call of \`UpdateTargeting\`, so one durable write is part of it; of a bare server, which sends as many bytes to as many streams in one loop, since that loop's start. ${blocks * changesInBlock} changes, each when all have the one before; the servers take turns in blocks of ${changesInBlock}, a bare one of ${bareChangesInBlock}, by whose medians the last column divides.`,
      isPinned
        ? "A server of one process is pinned to one core with `taskset`, three processes of watchers to the others. Each watcher's bytes are compared with the first one's."
        : "Nothing is pinned to a core, because there is no `taskset`.",
      ...(withWorkers
        ? [
            `With \`--workers ${workers}\` nothing is pinned: workers, the bare server and the watchers share all cores.`,
          ]
        : ["Not measured with `--workers`: there is no such option, or there are fewer than four cores."]),
      ...(mayBeApart()
        ? []
        : ["Not measured with a connection for each watcher: a process may not open as many files here."]),
      ...answered,
    ],
    compared: [{ column: asBare, better: "lower", tolerance: 1.3 }],
    references: rows.flatMap(([row]) => (typeof row === "string" && row.startsWith("bare ") ? [row] : [])),
  };
}

function toCosts(results: readonly CaseResult[], encodings: Encodings): Section {
  const rows = results.flatMap(({ layout, targets, watcherBytes, watcherBytesAfterwards }) =>
    targets.map(({ name, sampled }, index): Cell[] => [
      `${name}, ${layout.name}`,
      index === 0 ? toMeasure("bytes", [watcherBytes]) : "",
      index === 0 ? toMeasure("bytes", [watcherBytesAfterwards]) : "",
      toMeasure("bytes", sampled.frameBytes),
      inMilliseconds(sampled.serverProcessorMs / sampled.changeCount),
      inMilliseconds(sampled.clientProcessorMs / sampled.changeCount),
    ]),
  );
  const { handed, changes, messages, items } = encodings;
  if (handed !== changes * encodings.watchers || messages !== changes || items !== changes) {
    throw new Error(`${changes} changes were ${messages} messages of ${items} items, handed out ${handed} times`);
  }
  const folded = results.flatMap(({ targets }) => targets).reduce((sum, { sampled }) => sum + sampled.folded, 0);
  const failures = results.reduce((sum, result) => sum + result.failures, 0);
  return {
    name: "fanout: cost",
    title: "What 10,000 watchers cost",
    columns: [
      "server and watchers",
      memory,
      "after the changes",
      bytes,
      "server's processor time of a change",
      "watchers' processor time of a change",
    ],
    rows,
    notes: [
      "Memory is the server's resident memory with its watchers less that without, once it is idle, by their number. Nothing makes it collect garbage.",
      "Bytes are one watcher's: frames of HTTP/2, gRPC's prefix and the message.",
      `Each change is encoded once: the fan-out alone, asked in this process, handed ${handed.toLocaleString("en-US")} messages to ${encodings.watchers.toLocaleString("en-US")} watchers for ${encodings.changes} changes, and put ${encodings.messages} together, of ${encodings.items} encoded flags.`,
      `Every watcher received every change: ${folded} of the deliveries were of a later revision in its place. ${failures} connections had to be opened again.`,
    ],
    compared: [
      { column: memory, better: "lower", tolerance: 1.2 },
      { column: bytes, better: "lower", tolerance: 1.02 },
    ],
    references: rows.flatMap(([row]) => (typeof row === "string" && row.startsWith("bare ") ? [row] : [])),
  };
}

function toEvaluate(results: readonly CaseResult[]): Section {
  const rows = results.flatMap(({ layout, targets, evaluate }) =>
    (["quiet", "during"] as const).map((when): Cell[] => {
      const values = evaluate[when];
      const name = `${targets[0]?.name}, ${layout.name}, ${when === "quiet" ? "nothing changes" : "in a fan-out"}`;
      return [name, inMs(values, 0.5), inMs(values, 0.99), inMs(values, 1), { unit: "count", value: values.length }];
    }),
  );
  return {
    name: "fanout: evaluate",
    title: "Evaluate while a change goes to 10,000 watchers",
    columns: ["when", "p50", "p99", "max", "calls"],
    rows,
    notes: [
      "A call every 2 ms on a connection of its own, from when it is due, whether or not those before are answered. In a fan-out are those that were waiting between its first and its last delivery.",
    ],
  };
}

function lastOf({ deliveries }: ChangeTimes): number {
  return deliveries.at(-1) ?? Number.NaN;
}

function blockMedians(values: readonly number[], blockSize: number): number[] {
  return Array.from({ length: values.length / blockSize }, (_, block) =>
    quantile(values.slice(block * blockSize, (block + 1) * blockSize), 0.5),
  );
}

function inMs(values: readonly number[], q: number): Cell {
  return inMilliseconds(quantile(values, q));
}

function inMilliseconds(value: number): Cell {
  return { unit: "milliseconds", value };
}
