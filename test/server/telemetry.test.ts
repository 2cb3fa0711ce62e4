import { pino } from "pino";
import { afterEach, describe, expect, it, vi } from "vitest";
import { systemClock } from "../../src/base/index.js";
import { importTraceSdk, TelemetryProblem } from "../../src/server/telemetry/load-sdk.js";
import { openTelemetry, type Telemetry, type TelemetryOptions } from "../../src/server/telemetry/open-telemetry.js";
import type { OtlpSettings } from "../../src/server/telemetry/otlp-settings.js";
import { type ExportResult, ReportedExporter } from "../../src/server/telemetry/reported-exporter.js";
import { VirtualClock } from "../support/virtual-clock.js";
import { openCollector } from "./otlp-collector.js";

afterEach(() => vi.unstubAllEnvs());

function createLog() {
  const lines: { readonly level: number; readonly msg: string; readonly [key: string]: unknown }[] = [];
  return { lines, log: pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) }) };
}

async function open(settings: Partial<OtlpSettings>, options: Partial<TelemetryOptions> = {}): Promise<Telemetry> {
  const { log } = createLog();
  const all: OtlpSettings = { url: "http://127.0.0.1:1", authorization: undefined, sample: undefined, ...settings };
  const telemetry = await openTelemetry({ settings: all, version: "1.2.3", log, clock: systemClock, ...options });
  if (telemetry instanceof TelemetryProblem) throw new Error(telemetry.message);
  return telemetry;
}

/** Records spans with these names. */
function record({ tracing }: Telemetry, ...names: readonly string[]): void {
  for (const name of names) tracing.tracer.startSpan(name).end();
}

describe("telemetry", () => {
  it("is exported at the end, with who recorded it and what is presented there", async () => {
    await using collector = await openCollector();
    const telemetry = await open({ url: collector.url, authorization: "Basic abc" }, { worker: 3 });
    record(telemetry, "one", "two");
    await telemetry.close();
    expect(collector.received).toMatchObject([
      { path: "/v1/traces", authorization: "Basic abc", names: ["one", "two"] },
    ]);
    expect(collector.received[0]?.resource).toMatchObject({
      "service.name": "flagwire",
      "service.version": "1.2.3",
      "service.instance.id": expect.stringMatching(/^[0-9a-f-]{36}$/),
      "flagwire.worker": 3,
    });
  });

  it("is what OpenTelemetry's own variables say", async () => {
    await using collector = await openCollector();
    vi.stubEnv("OTEL_SERVICE_NAME", "flags-eu");
    vi.stubEnv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=eu,service.version=override");
    vi.stubEnv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20xyz");
    const telemetry = await open({ url: collector.url });
    record(telemetry, "one");
    await telemetry.close();
    expect(collector.received[0]).toMatchObject({
      authorization: "Bearer xyz",
      resource: { "service.name": "flags-eu", "service.version": "override", "deployment.environment.name": "eu" },
    });
  });

  it("has the share of traces that was asked for", async () => {
    await using collector = await openCollector();
    vi.stubEnv("OTEL_TRACES_SAMPLER", "always_off");
    for (const sample of [0, undefined, 1]) {
      const telemetry = await open({ url: collector.url, sample });
      record(telemetry, `share ${sample}`);
      await telemetry.close();
    }
    expect(collector.received.flatMap(({ names }) => names)).toEqual(["share 1"]);
  });

  it("that an endpoint does not take ends in time, and is lost", async () => {
    await using collector = await openCollector(() => {});
    const clock = new VirtualClock();
    const { log, lines } = createLog();
    const telemetry = await open({ url: collector.url }, { clock, log });
    record(telemetry, "one");
    let isClosed = false;
    const closed = telemetry.close().then(() => {
      isClosed = true;
    });
    await expect.poll(() => collector.received.length).toBe(1);
    expect(isClosed).toBe(false);
    await clock.advance(1_500);
    await closed;
    expect(lines.at(-1)?.msg).toBe("traces that were left could not be exported in time");
  });

  it("that nobody takes is logged, and bounded in what waits", async () => {
    const { log, lines } = createLog();
    vi.stubEnv("OTEL_EXPORTER_OTLP_TIMEOUT", "1");
    const telemetry = await open({}, { log });
    record(telemetry, ...Array.from({ length: 5_000 }, () => "one"));
    await telemetry.close();
    expect(lines.filter(({ level }) => level > 30)).toMatchObject([
      {
        msg: "traces cannot be exported",
        url: "http://127.0.0.1:1/v1/traces",
        why: expect.stringMatching(/ECONN|time/i),
      },
    ]);
  });

  it("names what to install where the SDK is not there", async () => {
    const { log } = createLog();
    const settings = { url: "http://127.0.0.1:1", authorization: undefined, sample: undefined };
    const missing = Object.assign(new Error("Cannot find package"), { code: "ERR_MODULE_NOT_FOUND" });
    const options = { settings, version: "1", log, clock: systemClock };
    const problem = await openTelemetry({ ...options, importSdk: () => Promise.reject(missing) });
    expect(problem).toEqual(
      new TelemetryProblem(
        "exporting traces needs OpenTelemetry's SDK, which is installed apart: npm install @opentelemetry/sdk-trace-base @opentelemetry/exporter-trace-otlp-http @opentelemetry/resources",
      ),
    );
    const broken = new Error("it does not load");
    await expect(openTelemetry({ ...options, importSdk: () => Promise.reject(broken) })).rejects.toBe(broken);
    expect(Object.keys(await importTraceSdk())).toContain("OTLPTraceExporter");
  });
});

describe("failures of an exporter", () => {
  it("are logged at once, then together once a minute, and when they are over", async () => {
    const { log, lines } = createLog();
    const clock = new VirtualClock();
    let result: ExportResult = { code: 1, error: Object.assign(new Error("refused"), { code: "ECONNREFUSED" }) };
    const told: number[] = [];
    const inner = { export: (_items: string[], done: (result: ExportResult) => void) => done(result) };
    const exporter = new ReportedExporter<string>(
      { ...inner, shutdown: async () => {} },
      { signal: "traces", url: "http://x", log, clock },
    );
    const send = (count: number) =>
      exporter.export(
        Array.from({ length: count }, () => "span"),
        ({ code }) => told.push(code),
      );
    send(1);
    send(2);
    await clock.advance(59_000);
    send(3);
    await clock.advance(1_000);
    send(4);
    send(5);
    result = { code: 0 };
    send(6);
    send(7);
    expect(told).toEqual([1, 1, 1, 1, 1, 0, 0]);
    expect(lines.map(({ msg, lost, why }) => ({ msg, lost, why }))).toEqual([
      { msg: "traces cannot be exported", lost: 1, why: "refused (ECONNREFUSED)" },
      { msg: "traces cannot be exported", lost: 9, why: "refused (ECONNREFUSED)" },
      { msg: "traces are exported again", lost: 5, why: undefined },
    ]);
  });
});
