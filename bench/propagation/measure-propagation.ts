import { type FileHandle, open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { quantile } from "../report/measure.js";
import type { Cell, Section } from "../report/section.js";
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

interface Samples {
  readonly writes: readonly WriteTimes[];
  /** Of a bare write and `fdatasync` of 4 KiB in the same file system, after each write, in milliseconds. */
  readonly syncs: readonly number[];
}

/** From a committed write to a mirror's changed answer. */
export async function measurePropagation(): Promise<Section> {
  const rows: Cell[][] = [];
  for (const flags of [10, 10_000]) {
    const samples = await sample(flags);
    const name = `with ${flags.toLocaleString("en-US")} flags`;
    const times = (of: (write: WriteTimes) => number) => toRow(samples.writes.map(of));
    rows.push([`call to the writer's answer, ${name}`, ...times(({ answered }) => answered)]);
    rows.push([`call to the mirror's answer, ${name}`, ...times(({ seenAfterCall }) => seenAfterCall)]);
    rows.push([`writer's answer to the mirror's, ${name}`, ...times(({ seenAfterAnswer }) => seenAfterAnswer)]);
    rows.push([`bare 4 KiB write and \`fdatasync\`, in between`, ...toRow(samples.syncs)]);
  }
  return {
    name: "propagation",
    title: "From a write to a mirror's answer",
    columns: ["time", "p50", "p99", "max"],
    rows,
    notes: [
      `${writes} times \`UpdateTargeting\` of one flag, one after the other; writer, server and mirror are three processes, and the mirror's answer is \`flags.boolean\` in its \`change\` event.`,
      "Below 0: the mirror knew before the writer. A write is durable before anybody sees it, so it contains at least one `fdatasync`.",
    ],
  };
}

function toRow(values: readonly number[]): Cell[] {
  return [0.5, 0.99, 1].map((q) => ({ unit: "milliseconds", value: quantile(values, q) }));
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
  try {
    const times: WriteTimes[] = [];
    const syncs: number[] = [];
    for (let index = 0; index < warmUpWrites + writes; index++) {
      times.push(await timeWrite(admin, mirror.process, index % 2 === 0));
      syncs.push(await timeSync(file));
    }
    return { writes: times.slice(warmUpWrites), syncs: syncs.slice(warmUpWrites) };
  } finally {
    sessionManager.abort();
    await file.close();
  }
}

const page = Buffer.alloc(4096, 1);

async function timeSync(file: FileHandle): Promise<number> {
  const startedAt = monotonicMs();
  await file.write(page, 0, page.byteLength, 0);
  await file.datasync();
  return monotonicMs() - startedAt;
}
