/** One number of a metric. */
export interface MetricSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** Where it differs from the metric's name: the parts of a histogram. */
  readonly metricName?: string;
}

export type MetricType = "counter" | "gauge" | "histogram" | "summary";

/** A metric with all its numbers. Plain data: processes send it to each other. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  readonly samples: readonly MetricSample[];
}

/** What one process counts. */
export interface ProcessReport {
  /** Which of several processes it is, such as `1` or `supervisor`. Undefined where there is one only. */
  readonly worker: string | undefined;
  readonly families: readonly MetricFamily[];
}
