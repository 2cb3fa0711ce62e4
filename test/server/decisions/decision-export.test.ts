import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Clock, systemClock } from "../../../src/base/index.js";
import { type CountedOutcome, emptySnapshot } from "../../../src/engine/index.js";
import { toDecision, toShownContext } from "../../../src/server/decisions/decision.js";
import type { DecisionSink } from "../../../src/server/decisions/decision-log.js";
import { openDecisionExport } from "../../../src/server/telemetry/decision-export.js";
import { TelemetryProblem } from "../../../src/server/telemetry/load-sdk.js";
import { runFlagwire } from "../../cli/run-flagwire.js";
import { environmentState, flag, position } from "../../engine/build.js";
import { VirtualClock } from "../../support/virtual-clock.js";

const START_MS = Date.UTC(2026, 0, 1);
const snapshot = emptySnapshot("production").apply("full", [environmentState(["email"]), flag("a")], position(7));

function decisionOf(context: object) {
  const outcome = snapshot.flag("a")?.select({}, 0);
  if (outcome === undefined) throw new Error("there is a flag");
  return toDecision(outcome as CountedOutcome, snapshot, toShownContext(snapshot, { ...context }), START_MS);
}

interface Event {
  readonly eventName: string;
  readonly timeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue: string } }[];
}

/** An endpoint that answers with a status, or begins to answer; what it was sent. */
async function openEndpoint(status: number | "drips" = 200) {
  const requests: {
    readonly path: string | undefined;
    readonly authorization: string | undefined;
    readonly events: Event[];
  }[] = [];
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (part) => {
      text += part;
    });
    request.on("end", () => {
      const { resourceLogs } = JSON.parse(text);
      const events = resourceLogs[0].scopeLogs[0].logRecords;
      requests.push({ path: request.url, authorization: request.headers.authorization, events });
      if (status === "drips") response.write("{");
      else response.writeHead(status, { "content-type": "application/json" }).end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = (): void => {
    server.closeAllConnections();
    server.close();
  };
  onTestFinished(close);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests, close };
}

async function open(url: string, authorization?: string, clock: Clock = systemClock): Promise<DecisionSink> {
  const sink = await openDecisionExport({ endpoint: { url, authorization }, version: "1.2.3", clock });
  if (sink instanceof TelemetryProblem) throw new Error(sink.message);
  onTestFinished(() => sink.close());
  return sink;
}

describe("decisions at an endpoint of OpenTelemetry", () => {
  it("are its events for evaluations, a batch in one request, without private attributes", async () => {
    const { url, requests } = await openEndpoint();
    const sink = await open(url, "Basic abc");
    await sink.write([decisionOf({ targetingKey: "u1", plan: "pro", email: "secret@example.test" }), decisionOf({})]);
    await sink.write([decisionOf({ targetingKey: "u3" })]);
    expect(requests.map(({ events }) => events.length)).toEqual([2, 1]);
    expect(requests[0]).toMatchObject({ path: "/v1/logs", authorization: "Basic abc" });
    const [event] = requests[0]?.events ?? [];
    expect(event).toMatchObject({ eventName: "feature_flag.evaluation", timeUnixNano: `${START_MS}000000` });
    expect(Object.fromEntries(event?.attributes.map(({ key, value }) => [key, value.stringValue]) ?? [])).toEqual({
      "feature_flag.key": "a",
      "feature_flag.provider.name": "flagwire",
      "feature_flag.result.reason": decisionOf({}).outcome.reason.toLowerCase(),
      "feature_flag.result.variant": decisionOf({}).outcome.variant,
      "feature_flag.set.id": "production",
      "feature_flag.version": "7",
      "feature_flag.context.id": "u1",
      "flagwire.context": '{"targetingKey":"u1","plan":"pro"}',
    });
    expect(JSON.stringify(requests)).not.toContain("secret");
  });

  it("are lost where it refuses them, which is told", async () => {
    const { url } = await openEndpoint(400);
    const sink = await open(url);
    await expect(sink.write([decisionOf({})])).rejects.toThrow("Bad Request");
  });

  it("are lost where it never comes to the end of its answer", async () => {
    const { url, requests, close } = await openEndpoint("drips");
    const clock = new VirtualClock();
    const sink = await open(url, undefined, clock);
    const written = sink.write([decisionOf({})]);
    written.catch(() => undefined);
    await expect.poll(() => requests.length).toBe(1);
    await clock.advance(30_000);
    await expect(written).rejects.toThrow("takes too long");
    close();
  });

  it("are not asked for where the SDK is missing: the packages are named", async () => {
    const missing = Object.assign(new Error("Cannot find package"), { code: "ERR_MODULE_NOT_FOUND" });
    const endpoint = { url: "http://127.0.0.1:1", authorization: undefined };
    const importSdk = () => Promise.reject(missing);
    const opened = await openDecisionExport({ endpoint, version: "1", clock: systemClock, importSdk });
    expect(opened).toBeInstanceOf(TelemetryProblem);
    expect((opened as TelemetryProblem).message).toContain(
      "npm install @opentelemetry/sdk-logs @opentelemetry/exporter-logs-otlp-http @opentelemetry/api-logs @opentelemetry/resources",
    );
  });

  it.each([
    ["http://127.0.0.1:4318/v1/logs", "leave out /v1/logs, which is added"],
    ["http://[", "is not an http:// or https:// URL"],
  ])("cannot be at %s", async (url, message) => {
    const { exitCode, stderr } = await runFlagwire(["serve", "--listen", "127.0.0.1:0", "--decisions", url]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(message);
  });
});
