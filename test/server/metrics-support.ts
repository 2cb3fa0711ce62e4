type Labels = Readonly<Record<string, string>>;

/** What a page of metrics says, in Prometheus's text format. */
export interface ParsedMetrics {
  /** The type of each metric. */
  readonly types: ReadonlyMap<string, string>;
  /** The labels that samples of each metric have, but for `le` of histograms and `quantile` of summaries. */
  readonly labelsOf: ReadonlyMap<string, readonly string[]>;
  /** The one sample that has these labels, among others; undefined if there is none. */
  value(name: string, labels: Labels): number | undefined;
}

export function parseMetrics(text: string): ParsedMetrics {
  const types = new Map<string, string>();
  for (const [, name = "", type = ""] of text.matchAll(/^# TYPE (\S+) (\w+)$/gm)) types.set(name, type);
  const samples = [...text.matchAll(/^([a-z]\w*)(?:\{(.*)\})? (\S+)$/gm)].map(([, name = "", labels = "", value]) => ({
    name,
    labels: Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = "", text = ""]) => [key, text])),
    value: Number(value),
  }));
  const labelsOf = new Map<string, readonly string[]>();
  for (const { name, labels } of samples) {
    const family = types.has(name) ? name : name.replace(/_(?:bucket|sum|count)$/, "");
    const own = Object.keys(labels).filter((label) => label !== "le" && label !== "quantile");
    labelsOf.set(family, [...new Set([...(labelsOf.get(family) ?? []), ...own])]);
  }
  return {
    types,
    labelsOf,
    value(name, wanted) {
      const found = samples.filter(
        (sample) =>
          sample.name === name && Object.entries(wanted).every(([label, text]) => sample.labels[label] === text),
      );
      if (found.length > 1) throw new Error(`${found.length} samples of ${name} have these labels`);
      return found[0]?.value;
    },
  };
}

export interface DescribedMetric {
  readonly type: string;
  readonly labels: readonly string[];
  readonly help: string;
}

/** The rows of the tables in docs/metrics.md, which are `| name | type | labels | help |`. */
export function describedMetrics(doc: string): ReadonlyMap<string, DescribedMetric> {
  const rows = [...doc.matchAll(/^\| `(\w+)` \| (\w+) \| ([^|]*) \| ([^|]*) \|$/gm)];
  return new Map(
    rows.map(([, name = "", type = "", labels = "", help = ""]) => {
      const names = [...labels.matchAll(/`(\w+)`/g)].map(([, label = ""]) => label);
      return [name, { type, labels: names, help: help.trim() }];
    }),
  );
}
