import { trace } from "@opentelemetry/api";
import { BasicTracerProvider } from "@opentelemetry/sdk-trace-base";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openMirror, openRemote } from "../../src/client/index.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { commitItems, someFlags } from "./ofrep-support.js";

let failsAt: "onStart" | "onEnd" = "onStart";
let failures = 0;

function fail(at: typeof failsAt): void {
  if (at !== failsAt) return;
  failures++;
  throw new Error("the SDK is broken");
}

const provider = new BasicTracerProvider({
  spanProcessors: [
    {
      onStart: () => fail("onStart"),
      onEnd: () => fail("onEnd"),
      forceFlush: () => Promise.resolve(),
      shutdown: () => Promise.resolve(),
    },
  ],
});
let server: TestServer;

// The API has one SDK in each process: clients and server find the same.
beforeAll(async () => {
  trace.setGlobalTracerProvider(provider);
  server = await openTestServer();
  await commitItems(server, someFlags);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  trace.disable();
});

describe.each(["onStart", "onEnd"] as const)("a processor of an SDK that throws in %s fails", (at) => {
  beforeAll(() => {
    failsAt = at;
    failures = 0;
  });

  it("no evaluation, on either side", async () => {
    await using remote = await openRemote({ address: server.address });
    expect(await remote.string("string", "-", { plan: "pro" })).toBe("B");
    expect(failures).toBe(2);
  });

  it("no evaluation by Connect or OFREP", async () => {
    const asked = { flagKey: "string", context: { attributes: { plan: "pro" } } };
    const answer = await server.json("flagwire.v1.EvaluationService/Evaluate", asked);
    expect(answer).toMatchObject({ status: 200, body: { value: "B" } });
    const url = `http://${server.address}/ofrep/v1/evaluate/flags/string`;
    const told = await fetch(url, { method: "POST", body: JSON.stringify({ context: { plan: "pro" } }) });
    expect(await told.json()).toMatchObject({ value: "B" });
  });

  it("no mirror", async () => {
    await using mirror = await openMirror({ address: server.address });
    expect(mirror.string("string", "-", { plan: "pro" })).toBe("B");
  });

  it("no write, which would be durable and said to be none", async () => {
    const { flag } = await server.admin.getFlag({ key: "string" });
    expect(await server.admin.updateFlag({ ...(flag && { flag }) })).toMatchObject({ flag: { key: "string" } });
  });
});
