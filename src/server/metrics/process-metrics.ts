import type { MetricObjectWithValues, MetricValue, Registry } from "prom-client";
import type { MetricFamily, MetricType } from "./metric-report.js";

let opened: Promise<Registry> | undefined;

/**
 * The metrics of this process and of Node: memory, processor time, garbage collection, event loop. They are of the process, so
 * there is one registry for it; made at the first scrape, because it keeps watching from then on, which who never scrapes
 * need not pay for.
 */
export async function processMetrics(): Promise<MetricFamily[]> {
  opened ??= openRegistry();
  const metrics = await (await opened).getMetricsAsJSON();
  return metrics.map(toFamily);
}

async function openRegistry(): Promise<Registry> {
  const { collectDefaultMetrics, Registry } = await import("prom-client");
  const register = new Registry();
  collectDefaultMetrics({ register });
  return register;
}

function toFamily({ name, help, type, values }: MetricObjectWithValues<MetricValue<string>>): MetricFamily {
  const samples = values.map(({ labels, value, ...more }) => {
    const { metricName } = more as { readonly metricName?: string };
    return { labels: toTexts(labels), value, ...(metricName === undefined ? {} : { metricName }) };
  });
  // prom-client's declarations have an enum of numbers here; what it gives is the name.
  return { name, help, type: type as unknown as MetricType, samples };
}

function toTexts(labels: Readonly<Record<string, string | number | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, String(value)]));
}
