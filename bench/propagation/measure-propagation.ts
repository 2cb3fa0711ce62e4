import { type FileHandle, open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import type { RootDatabase } from "lmdb";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { quantile, toRatio } from "../report/measure.js";
import type { Cell, Section } from "../report/section.js";
import { openBareLmdb } from "../support/lmdb.js";
import { createFlagFile, switchedFlag } from "../support/many-flags.js";
import { openMirrorProcess } from "../support/mirror.js";
import type { MirrorOrder } from "../support/mirror-process.js";
import { monotonicMs } from "../support/monotonic.js";
import { ask } from "../support/processes.js";
import { openService } from "../support/service.js";
import { openTempDirectory } from "../support/temp-directory.js";
import { timeWrite, type WriteTimes } from "./time-write.js";

const writes = 300;
const warmUpWrites = 30;
const blockSize = 30;
const inPuts = "p50, as bare writes to LMDB";

/** Times of writes, and of what is done after each in the same file system, in milliseconds. */
interface Samples {
  readonly writes: readonly WriteTimes[];
  /** Of a bare write and `fdatasync` of 4 KiB. */
  readonly syncs: readonly number[];
  /** Of a bare durable write to LMDB, with which the others are compared. */
  readonly puts: readonly number[];
}

/** From a committed write to a mirror's changed answer. */
export async function measurePropagation(): Promise<Section> {
  const rows: Cell[][] = [];
  const references: string[] = [];
  for (const flags of [10, 10_000]) {
    const { writes, syncs, puts } = await sample(flags);
    const name = `with ${flags.toLocaleString("en-US")} flags`;
    const add = (row: string, values: readonly number[]) => rows.push(toRow(`${row}, ${name}`, values, puts));
    const times = (of: (write: WriteTimes) => number) => writes.map(of);
    add(
      "call to the writer's answer",
      times(({ answered }) => answered),
    );
    add(
      "call to the mirror's answer",
      times(({ seenAfterCall }) => seenAfterCall),
    );
    add(
      "writer's answer to the mirror's",
      times(({ seenAfterAnswer }) => seenAfterAnswer),
    );
    for (const [bare, values] of [
      ["bare write of 4 KiB to LMDB, in between", puts],
      ["bare 4 KiB write and `fdatasync`, in between", syncs],
    ] as const) {
      add(bare, values);
      references.push(`${bare}, ${name}`);
    }
  }
  return {
    name: "propagation",
    title: "From a write to a mirror's answer",
    columns: ["time", "p50", "p99", "max", inPuts],
    rows,
    notes: [
      `${writes} times \`UpdateTargeting\` of one flag, one after the other; writer, server and mirror are three processes, and the mirror's answer is \`flags.boolean\` in its \`change\` event.`,
      "Below 0: the mirror knew before the writer. A write is durable before anybody sees it, so it contains at least one `fdatasync`.",
      `The last column is the p50 of ${blockSize} writes by that of the bare writes to LMDB in between, for ${writes / blockSize} such blocks.`,
    ],
    // Where others use the disk too, the bare writes are slowed down more than what contains them.
    compared: [{ column: inPuts, better: "lower", least: 0.25, tolerance: 1.5 }],
    references,
  };
}

function toRow(name: string, values: readonly number[], puts: readonly number[]): Cell[] {
  const quantiles = [0.5, 0.99, 1].map((q): Cell => ({ unit: "milliseconds", value: quantile(values, q) }));
  return [name, ...quantiles, toRatio(mediansOf(values), mediansOf(puts))];
}

/** The p50 of one block after the other. */
function mediansOf(values: readonly number[]): number[] {
  return Array.from({ length: values.length / blockSize }, (_, block) =>
    quantile(values.slice(block * blockSize, (block + 1) * blockSize), 0.5),
  );
}

async function sample(flags: number): Promise<Samples> {
  await using directory = await openTempDirectory();
  const seed = join(directory.path, "flags.json");
  await writeFile(seed, JSON.stringify(createFlagFile(flags)));
  await using service = await openService({ data: join(directory.path, "data"), seed });
  await using mirror = await openMirrorProcess(service.address);
  const order: MirrorOrder = { kind: "follow", flagKey: switchedFlag };
  await ask(mirror.process, order);
  const baseUrl = `http://${service.address}`;
  const sessionManager = new Http2SessionManager(baseUrl);
  const admin = createClient(AdminService, createGrpcTransport({ baseUrl, sessionManager }));
  const file = await open(join(directory.path, "bare"), "w");
  const lmdb = openBareLmdb(join(directory.path, "bare-lmdb"));
  try {
    const times: WriteTimes[] = [];
    const syncs: number[] = [];
    const puts: number[] = [];
    for (let index = 0; index < warmUpWrites + writes; index++) {
      times.push(await timeWrite(admin, mirror.process, index % 2 === 0));
      syncs.push(await timeSync(file));
      puts.push(await timePut(lmdb, index));
    }
    const isCounted = (_: unknown, index: number): boolean => index >= warmUpWrites;
    return { writes: times.filter(isCounted), syncs: syncs.filter(isCounted), puts: puts.filter(isCounted) };
  } finally {
    sessionManager.abort();
    await file.close();
    await lmdb.close();
  }
}

const page = Buffer.alloc(4096, 1);

async function timeSync(file: FileHandle): Promise<number> {
  const startedAt = monotonicMs();
  await file.write(page, 0, page.byteLength, 0);
  await file.datasync();
  return monotonicMs() - startedAt;
}

async function timePut(lmdb: RootDatabase<Uint8Array, number>, key: number): Promise<number> {
  const startedAt = monotonicMs();
  await lmdb.put(key, page);
  return monotonicMs() - startedAt;
}
