import type { Metric, Registry, RegistryContentType } from "prom-client";
import type { MetricFamily, MetricSample, ProcessReport } from "./metric-report.js";

/** A page of metrics. */
export interface Exposition {
  readonly contentType: string;
  readonly body: string;
}

const OPEN_METRICS = /\bapplication\/openmetrics-text\b/;

/** All reports as one page: in OpenMetrics for those who say in `accept` that they take it, else in Prometheus's text format. */
export async function toExposition(reports: readonly ProcessReport[], accept: string): Promise<Exposition> {
  // Loaded when it is first needed: most processes that hold a server are never scraped.
  const prom = await import("prom-client");
  const registry: Registry<RegistryContentType> = new prom.Registry();
  if (OPEN_METRICS.test(accept)) registry.setContentType(prom.Registry.OPENMETRICS_CONTENT_TYPE);
  for (const family of joined(reports)) registry.registerMetric(toMetric(family));
  return { contentType: registry.contentType, body: await registry.metrics() };
}

/**
 * The families of several processes, each sample with its process. They are not added up: a sum would go back when one process
 * is replaced, which Prometheus takes for a restart of all.
 */
function joined(reports: readonly ProcessReport[]): Iterable<MetricFamily> {
  const families = new Map<string, MetricFamily>();
  for (const { worker, families: own } of reports) {
    for (const family of own) {
      const before = families.get(family.name)?.samples ?? [];
      families.set(family.name, { ...family, samples: [...before, ...labelled(family.samples, worker)] });
    }
  }
  return families.values();
}

function labelled(samples: readonly MetricSample[], worker: string | undefined): readonly MetricSample[] {
  if (worker === undefined) return samples;
  return samples.map((sample) => ({ ...sample, labels: { ...sample.labels, worker } }));
}

/** A metric whose values are there already. The registry renames counters for OpenMetrics, so it has to get the object itself. */
function toMetric({ name, help, type, samples }: MetricFamily): Metric {
  const metric = { name, help, type, values: samples, get: () => metric };
  return metric as unknown as Metric;
}
