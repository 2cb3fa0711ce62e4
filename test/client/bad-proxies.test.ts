import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FlagKind, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import {
  type Mirror,
  type MirrorError,
  type MirrorOptions,
  openGrpcTransport,
  openMirror,
} from "../../src/client/index.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { BadProxy, type ProxyMode } from "./bad-proxy.js";

let server: TestServer;
let proxy: BadProxy;
let mirror: Mirror | undefined;
const rejections: unknown[] = [];
const onRejection = (reason: unknown): void => void rejections.push(reason);

beforeEach(async () => {
  server = await openTestServer({ watch: { heartbeatMs: 150 } });
  proxy = await new BadProxy(server.server.address.port).listen();
  const variants = { on: bool(true), off: bool(false) };
  await server.admin.createFlag({ flag: { key: "a", type: FlagType.BOOLEAN, kind: FlagKind.OPERATIONAL, variants } });
  rejections.length = 0;
  process.on("unhandledRejection", onRejection);
  process.on("uncaughtException", onRejection);
});

afterEach(async () => {
  await mirror?.close();
  mirror = undefined;
  await proxy[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  process.off("unhandledRejection", onRejection);
  process.off("uncaughtException", onRejection);
  expect(rejections).toEqual([]);
});

function bool(value: boolean) {
  return { kind: { case: "boolValue" as const, value } };
}

async function open(options: MirrorOptions = {}): Promise<Mirror> {
  const times = { pollIntervalMs: 100, streamRetryMs: 200, healthyAfterMs: 1_500, staleAfterMs: 2_000 };
  mirror = await openMirror({ address: proxy.address, backoff: { minMs: 5, maxMs: 20 }, ...times, ...options });
  return mirror;
}

/** A write, and the mirror's answer after it. */
async function follows(flags: Mirror, enabled: boolean): Promise<void> {
  const targeting = {
    flagKey: "a",
    enabled,
    offVariant: "off",
    default: { kind: { case: "variant" as const, value: "on" } },
  };
  const { revision } = await server.admin.updateTargeting({ targeting });
  await flags.waitFor(revision, { timeoutMs: 30_000 });
  expect(flags.boolean("a", !enabled)).toBe(enabled);
}

describe.each<ProxyMode>(["cuts", "stalls", "buffers"])("through a proxy that %s", (mode) => {
  it("a mirror opens, follows changes, and streams again when the proxy is gone", { timeout: 120_000 }, async () => {
    proxy.mode = mode;
    const flags = await open();
    await vi.waitFor(() => expect(flags.delivery).toBe("poll"), 30_000);
    for (let change = 0; change < 3; change++) await follows(flags, change % 2 === 0);
    proxy.switchTo("passes");
    await vi.waitFor(() => expect(flags.delivery).toBe("stream"), { timeout: 60_000, interval: 50 });
    await follows(flags, true);
    expect(flags.counts.resyncs).toBe(0);
    expect(flags.digest).toBe((await open({ address: server.address })).digest);
    await flags.close();
  });
});

describe("on a connection that is half open", () => {
  it("pings notice what nobody says, before the mirror is stale", async () => {
    proxy.mode = "stalls";
    const url = new URL(`http://${proxy.address}`);
    const transport = openGrpcTransport({ url, pingIntervalMs: 200, pingTimeoutMs: 200 });
    const flags = await open({ transport, staleAfterMs: 3_600_000, firstMessageTimeoutMs: 3_600_000 });
    const errors: MirrorError[] = [];
    flags.on("error", (error) => errors.push(error));
    await vi.waitFor(() => expect(errors.map(({ kind }) => kind)).toContain("connection"), 10_000);
    expect(flags.status).toBe("ready");
  });
});

describe("through a proxy that knows HTTP/1.1 only", () => {
  it("usage is reported all the same", async () => {
    proxy.mode = "buffers";
    const flags = await open({ reportUsage: { intervalMs: 20 } });
    await follows(flags, true);
    await vi.waitFor(async () => {
      const { usages } = await server.admin.listUsage({ flagKey: "a" });
      expect(usages).toMatchObject([{ variant: "on", count: 1n }]);
    }, 10_000);
    expect(proxy.http1Requests).toContain("/flagwire.v1.EvaluationService/ReportUsage");
  });

  it("a wrong token surfaces at once", async () => {
    proxy.mode = "buffers";
    await expect(open({ token: "wrong" })).rejects.toMatchObject({ kind: "refused" });
  });

  it("an open mirror can be closed, and leaves no connection", async () => {
    proxy.mode = "buffers";
    const flags = await open();
    await flags.close();
    await vi.waitFor(() => expect([proxy.open, server.server.stats().connections.http]).toEqual([0, 0]));
  });
});

describe("through a front that answers gRPC by a status of HTTP", () => {
  it.each([400, 401, 403, 404, 415, 502])(
    "a mirror polls by HTTP/1.1 after HTTP %i, and fetches everything once",
    async (status) => {
      proxy.mode = "blocks HTTP/2";
      proxy.blockedStatus = status;
      const flags = await open();
      await vi.waitFor(() => expect(flags.delivery).toBe("poll"), 30_000);
      await follows(flags, false);
      // Streams have been tried meanwhile.
      const { attempts, polls } = flags.counts;
      await vi.waitFor(
        () => expect(flags.counts.attempts - flags.counts.polls).toBeGreaterThan(attempts - polls),
        10_000,
      );
      await follows(flags, true);
      expect(flags.counts).toMatchObject({ fulls: 1, resyncs: 0 });
    },
  );

  it.each<[ProxyMode, number]>([
    ["blocks all", 401],
    ["blocks all", 403],
    ["blocks HTTP/1.1", 401],
  ])("a mirror is refused at once where the front %s with HTTP %i", async (mode, status) => {
    proxy.mode = mode;
    proxy.blockedStatus = status;
    await expect(open({ connectTimeoutMs: 60_000 })).rejects.toMatchObject({
      kind: "refused",
      message: expect.stringContaining(`HTTP ${status}`),
    });
    expect(proxy.http1Requests.length).toBe(1);
  });
});
