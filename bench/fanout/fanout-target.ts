import type { ChildProcess } from "node:child_process";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { WatchResponseSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { processorTimeMs, processTree } from "../support/cores.js";
import { ask } from "../support/processes.js";
import type { Writer } from "../support/writer.js";
import type { Received } from "../watchers/watcher-group.js";
import type { WatcherProcesses } from "../watchers/watchers.js";
import type { BareOrder, BareWritten } from "./bare-fanout.js";

/** Times of one change, in milliseconds. */
export interface ChangeTimes {
  /** From the call until the writer's answer. 0 for a bare server. */
  readonly answered: number;
  /** From the call until each of the watchers had it; ascending. */
  readonly deliveries: readonly number[];
}

/** A server that changes can be sent through. */
export interface FanoutTarget {
  readonly name: string;
  readonly pid: number;
  /** One change, until all watchers have it. */
  change(): Promise<Received & ChangeTimes>;
}

/** What came of a server's changes. */
export interface Sampled {
  readonly changes: ChangeTimes[];
  /** Bytes that one watcher received for a change. */
  readonly frameBytes: number[];
  folded: number;
  changeCount: number;
  serverProcessorMs: number;
  clientProcessorMs: number;
}

export function toFlagwire(name: string, pid: number, watchers: WatcherProcesses, writer: Writer): FanoutTarget {
  let next = Number.NaN;
  return {
    name,
    pid,
    async change() {
      if (Number.isNaN(next)) next = (await writer.write()).revision + 1;
      const { received } = await watchers.expect(name, next);
      const { revision, calledAtMs, answeredAtMs } = await writer.write();
      if (revision !== next) throw new Error(`revision ${next} was expected, and became ${revision}`);
      next = revision + 1;
      const change = await received;
      return { ...change, answered: answeredAtMs - calledAtMs, deliveries: since(calledAtMs, change) };
    },
  };
}

/** `message` is one of Flagwire's, whose size the bare server's messages have. */
export async function startBare(
  name: string,
  child: ChildProcess,
  watchers: WatcherProcesses,
  message: string,
): Promise<FanoutTarget> {
  const template = fromBinary(WatchResponseSchema, Buffer.from(message, "base64"));
  const position = template.commit?.position;
  if (position === undefined) throw new Error("the message has no position");
  const writeNext = (): Promise<BareWritten> => {
    position.revision++;
    const order: BareOrder = { message: Buffer.from(toBinary(WatchResponseSchema, template)).toString("base64") };
    return ask<BareWritten>(child, order);
  };
  await writeNext();
  return {
    name,
    pid: child.pid ?? Number.NaN,
    async change() {
      const { received } = await watchers.expect(name, Number(position.revision) + 1);
      const { startedAtMs } = await writeNext();
      const change = await received;
      return { ...change, answered: 0, deliveries: since(startedAtMs, change) };
    },
  };
}

function since(startedAtMs: number, { atMs }: Received): number[] {
  return atMs.map((ms) => ms - startedAtMs).sort((a, b) => a - b);
}

export function createSampled(): Sampled {
  return { changes: [], frameBytes: [], folded: 0, changeCount: 0, serverProcessorMs: 0, clientProcessorMs: 0 };
}

/** Some changes, one after the other, each when all have the one before. */
export async function sampleChanges(
  target: FanoutTarget,
  watchers: WatcherProcesses,
  count: number,
  into: Sampled,
): Promise<void> {
  const serverBefore = treeProcessorMs(target.pid);
  const clientsBefore = await watchers.processorMs();
  for (let index = 0; index < count; index++) {
    const { answered, deliveries, folded, frameBytes } = await target.change();
    into.changes.push({ answered, deliveries });
    into.frameBytes.push(frameBytes);
    into.folded += folded;
  }
  into.changeCount += count;
  into.serverProcessorMs += treeProcessorMs(target.pid) - serverBefore;
  into.clientProcessorMs += (await watchers.processorMs()) - clientsBefore;
}

function treeProcessorMs(pid: number): number {
  return processTree(pid).reduce((sum, one) => sum + processorTimeMs(one), 0);
}
