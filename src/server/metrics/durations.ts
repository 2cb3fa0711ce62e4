import type { MetricSample } from "./metric-report.js";

/** Upper bounds in milliseconds, the last one open: an evaluation takes a tenth of one, a durable write some. */
const BOUNDS_MS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000] as const;
const LABELS = BOUNDS_MS.map((boundMs) => String(boundMs / 1_000));
// A typed array, so that nothing is made of a number that is counted.
const bounds = Float64Array.from(BOUNDS_MS);

/** Times in buckets with fixed bounds. To add one costs a few comparisons and makes no object. */
export class Durations {
  /** Not cumulative; the last is beyond all bounds. */
  readonly #counts = new Float64Array(bounds.length + 1);
  #sumMs = 0;

  add(durationMs: number): void {
    let index = 0;
    while (index < bounds.length && durationMs > (bounds[index] ?? 0)) index++;
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#sumMs += durationMs;
  }

  /** As Prometheus wants it: cumulative, in seconds. */
  samples(name: string, labels: Readonly<Record<string, string>>): MetricSample[] {
    let total = 0;
    const samples: MetricSample[] = LABELS.map((le, index) => {
      total += this.#counts[index] ?? 0;
      return { labels: { ...labels, le }, value: total, metricName: `${name}_bucket` };
    });
    total += this.#counts[bounds.length] ?? 0;
    samples.push({ labels: { ...labels, le: "+Inf" }, value: total, metricName: `${name}_bucket` });
    samples.push({ labels, value: this.#sumMs / 1_000, metricName: `${name}_sum` });
    samples.push({ labels, value: total, metricName: `${name}_count` });
    return samples;
  }
}
