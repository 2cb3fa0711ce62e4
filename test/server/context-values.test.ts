import { PassThrough } from "node:stream";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FlagwireServer, ListenProblem, openServer } from "../../src/server/index.js";
import { openMemoryStore, type Store } from "../../src/store/index.js";

// What callers say of their users is nobody else's to read: refusals name attributes and quote no value, and the log has neither.

const SECRET = "s3cr3t";
const logged = new PassThrough();
let store: Store;
let server: FlagwireServer;
let baseUrl: string;

beforeAll(async () => {
  store = await openMemoryStore();
  const log = pino({ level: "trace" }, logged);
  const opened = await openServer({ listen: { host: "127.0.0.1", port: 0 }, store, log });
  if (opened instanceof ListenProblem) throw new Error(opened.message);
  server = opened;
  baseUrl = `http://${server.address.host}:${server.address.port}`;
});

afterAll(async () => {
  await server.stop(1_000);
  await store.close();
});

function nested(levels: number): unknown {
  return levels === 0 ? SECRET : { inside: nested(levels - 1) };
}

/** Contexts that are refused, each for the value of `email`. */
const wrong: [string, unknown][] = [
  ["is nested too deep", nested(40)],
  ["is a text that is too long", SECRET.padEnd(70_000, "x")],
  ["is a list that is too long", Array.from({ length: 1_001 }, () => SECRET)],
  ["is a list of texts that are too long", [SECRET, "x".repeat(70_000)]],
  ["is half a surrogate pair", `${SECRET}\ud800`],
];

/** Bodies that are refused as they are, which the caller alone is told of. */
const malformed = [
  `{"context":"${SECRET}"}`,
  `{"context":["${SECRET}"]}`,
  `{"context":{"targetingKey":"${SECRET}`,
  SECRET,
];

const doors: [string, string, (context: object) => object][] = [
  ["Evaluate", "flagwire.v1.EvaluationService/Evaluate", (attributes) => ({ flagKey: "a", context: { attributes } })],
  ["BulkEvaluate", "flagwire.v1.EvaluationService/BulkEvaluate", (attributes) => ({ context: { attributes } })],
  ["OFREP", "ofrep/v1/evaluate/flags/a", (context) => ({ context })],
  ["OFREP's bulk", "ofrep/v1/evaluate/flags", (context) => ({ context })],
  ["flagd", "flagd.evaluation.v2.Service/ResolveBoolean", (context) => ({ flagKey: "a", context })],
  ["flagd's bulk", "flagd.evaluation.v1.Service/ResolveAll", (context) => ({ context })],
];

async function post(path: string, body: string): Promise<{ status: number; answer: string }> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${baseUrl}/${path}`, { method: "POST", headers, body });
  return { status: response.status, answer: await response.text() };
}

/** What was logged so far. */
const log = () => String(logged.read() ?? "");

describe.each(doors)("a refusal by %s", (_name, path, toBody) => {
  it.each(wrong)("of a context with an attribute that %s does not quote it", async (_what, email) => {
    const { status, answer } = await post(path, JSON.stringify(toBody({ targetingKey: SECRET, email })));
    expect([status >= 400, answer.includes(SECRET), log().includes(SECRET)]).toEqual([true, false, false]);
    expect(answer).toContain("email");
  });

  it("of what is no context, or no JSON, is not quoted in the log", async () => {
    for (const body of malformed) {
      const { status } = await post(path, body);
      expect([body, status >= 400]).toEqual([body, true]);
      // That a call was refused is.
      expect(log()).not.toContain(SECRET);
    }
  });
});
