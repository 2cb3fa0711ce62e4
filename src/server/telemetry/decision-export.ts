import type { Clock } from "../../base/index.js";
import { type Decision, toAttributes } from "../decisions/decision.js";
import type { DecisionSink } from "../decisions/decision-log.js";
import { createResource } from "./create-resource.js";
import { importLogSdk, type LogSdk, loadLogSdk, TelemetryProblem } from "./load-sdk.js";
import type { OtlpEndpoint } from "./otlp-settings.js";
import { type ExportResult, whyOf } from "./reported-exporter.js";

export interface DecisionExportOptions {
  readonly endpoint: OtlpEndpoint;
  /** See ServerOptions. */
  readonly version: string;
  readonly clock: Clock;
  /** Default: imports it. */
  readonly importSdk?: () => Promise<LogSdk>;
}

/** An endpoint that answers a byte at a time keeps the SDK waiting for ever, and with it the decisions that come after. */
const EXPORT_TIMEOUT_MS = 30_000;

type Exporter = InstanceType<LogSdk["OTLPLogExporter"]>;
type LogRecord = Parameters<Exporter["export"]>[0][number];

/**
 * Sends decisions to an endpoint of OpenTelemetry's protocol, as its events `feature_flag.evaluation` (semantic conventions 1.45.0). Or says
 * what is missing.
 */
export async function openDecisionExport(options: DecisionExportOptions): Promise<DecisionSink | TelemetryProblem> {
  const { endpoint, version, clock, importSdk = importLogSdk } = options;
  const sdk = await loadLogSdk(importSdk);
  if (sdk instanceof TelemetryProblem) return sdk;
  const exporter = new sdk.OTLPLogExporter({
    url: `${endpoint.url}/v1/logs`,
    ...(endpoint.authorization !== undefined && { headers: { authorization: endpoint.authorization } }),
  });
  // The batches are made here: the SDK makes records of them, and no queue of its own.
  let records: LogRecord[] = [];
  const settled = async (): Promise<void> => undefined;
  const collector = {
    onEmit: (record: LogRecord) => void records.push(record),
    forceFlush: settled,
    shutdown: settled,
  };
  const provider = new sdk.LoggerProvider({ resource: createResource(sdk, { version }), processors: [collector] });
  const logger = provider.getLogger("flagwire", version);
  return {
    async write(decisions) {
      records = [];
      for (const decision of decisions) logger.emit(toEvent(decision));
      await exported(exporter, records, clock);
    },
    close: () => exporter.shutdown(),
  };
}

function toEvent(decision: Decision) {
  const { timeMs } = decision;
  return { eventName: "feature_flag.evaluation", timestamp: timeMs, attributes: toAttributes(decision) };
}

function exported(exporter: Exporter, records: LogRecord[], clock: Clock): Promise<void> {
  return new Promise((resolve, reject) => {
    const stopTimer = clock.after(EXPORT_TIMEOUT_MS, () => reject(new Error("the endpoint takes too long")));
    exporter.export(records, ({ code, error }: ExportResult) => {
      stopTimer();
      if (code === 0) resolve();
      else reject(new Error(error === undefined ? "the endpoint did not take them" : whyOf(error)));
    });
  });
}
