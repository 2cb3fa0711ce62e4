import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { type Mirror, openMirror } from "../../src/client/index.js";
import { type CliRun, runFlagwire } from "../cli/run-flagwire.js";
import { openTestServer, type TestServer } from "../support/server.js";

const COUNT = 1_000_000;
/** The most that a gRPC client takes unless it is told otherwise. */
const CLIENT_MESSAGE_BYTES = 4 * 1_048_576;
const keyOf = (index: number) => `user-${String(index).padStart(9, "0")}`;

describe("a segment of a million keys", () => {
  let folder = "";
  let server: TestServer;
  let mirror: Mirror;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "flagwire-large-"));
    server = await openTestServer({ path: join(folder, "data") });
  });
  afterAll(async () => {
    await mirror?.close();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const flagwire = (...argv: string[]): Promise<CliRun> =>
    runFlagwire(argv, { env: { FLAGWIRE_ADDRESS: server.address } });
  const open = () =>
    openMirror({ address: server.address, cache: join(folder, "cache"), staleAfterMs: 600_000, cacheDelayMs: 0 });
  const isIn = (key: string, attributes = {}) => mirror.boolean("beta", false, { targetingKey: key, ...attributes });
  const large = {
    key: "large",
    description: "a million",
    included: Array.from({ length: COUNT }, (_, index) => keyOf(index)),
    excluded: ["never"],
    condition: { match: { attribute: "plan", operator: "in", values: ["gold"] } },
  };
  const file = {
    flags: [{ key: "beta", type: "boolean", kind: "operational", variants: { on: true, off: false } }],
    targetings: [
      {
        flagKey: "beta",
        enabled: true,
        offVariant: "off",
        rules: [{ condition: { segment: "large" }, serve: { variant: "on" } }],
        default: { variant: "off" },
      },
    ],
    segments: [large],
  };

  it("is imported whole, and shown without its keys", async () => {
    const path = join(folder, "file.json");
    await writeFile(path, JSON.stringify(file));
    expect(await flagwire("import", path)).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("1 segment") });
    const shown = { includedCount: COUNT, excludedCount: 1, included: [], excluded: [], keysOmitted: true };
    expect((await server.admin.getSegment({ key: "large" })).segment).toMatchObject(shown);
    expect((await server.admin.listSegments({})).segments).toMatchObject([shown]);
    const { entries } = await server.admin.listHistory({});
    expect(entries[0]).toMatchObject({ omittedChanges: 0 });
    const change = entries[0]?.changes.find(({ key }) => key === "large");
    expect(change?.after?.kind.value).toMatchObject(shown);
  });

  it("is streamed to a mirror whose client takes 4 MiB a message, and decides there", async () => {
    const transport = createGrpcTransport({ baseUrl: `http://${server.address}`, readMaxBytes: CLIENT_MESSAGE_BYTES });
    const watch = new AbortController();
    let keys = 0;
    for await (const { items, commit } of createClient(EvaluationService, transport).watch({}, watch)) {
      for (const { kind } of items) {
        if (kind.case === "segment" || kind.case === "segmentKeys") keys += kind.value.included.length;
      }
      if (commit) break;
    }
    watch.abort();
    expect(keys).toBe(COUNT);
    mirror = await open();
    for (const index of [0, 1, COUNT / 2, COUNT - 1]) expect(isIn(keyOf(index))).toBe(true);
    expect(isIn(keyOf(COUNT))).toBe(false);
    expect(isIn("never", { plan: "gold" })).toBe(false);
    expect(isIn("another", { plan: "gold" })).toBe(true);
    expect(mirror.counts).toMatchObject({ fulls: 1, resyncs: 0 });
  });

  it("is changed by what a mask names, and the mirror follows by a delta", async () => {
    const changed = new Promise((resolve) => mirror.on("change", resolve));
    const segment = { key: "large", excluded: ["never", "another"] };
    const answer = await server.admin.updateSegment({ segment, updateMask: { paths: ["excluded"] } });
    expect(answer.segment).toMatchObject({ includedCount: COUNT, excludedCount: 2, keysOmitted: true });
    await changed;
    expect(isIn("another", { plan: "gold" })).toBe(false);
    expect(isIn(keyOf(COUNT - 1))).toBe(true);
    expect(mirror.counts).toMatchObject({ fulls: 1, deltas: 1, resyncs: 0 });
  });

  it("is there after a restart, and in a mirror that starts from its cache", async () => {
    const { host, port } = server.server.address;
    await mirror.close();
    await server.stop();
    mirror = await open();
    expect([isIn(keyOf(0)), isIn(keyOf(COUNT))]).toEqual([true, false]);
    server = await openTestServer({ path: join(folder, "data"), listen: { host, port } });
    await expect.poll(() => mirror.status, { timeout: 10_000 }).toBe("ready");
    expect(mirror.counts).toMatchObject({ nones: 1, fulls: 0, resyncs: 0 });
    expect(await server.evaluation.evaluate({ flagKey: "beta", context: { targetingKey: keyOf(7) } })).toMatchObject({
      variant: "on",
    });
  });

  it("is exported as it came in", async () => {
    const path = join(folder, "exported.json");
    expect((await flagwire("export", "-o", path)).exitCode).toBe(0);
    const { segments } = JSON.parse(await readFile(path, "utf8"));
    const { condition: _, ...rest } = large;
    const expected = { ...rest, environment: "production", excluded: ["never", "another"] };
    expect(segments).toMatchObject([expected]);
    expect(await flagwire("import", path)).toMatchObject({ stdout: expect.stringContaining("0 segments changed") });
  });
});
