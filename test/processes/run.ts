import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { HistoryEntry } from "../../gen/flagwire/v1/history_pb.js";
import {
  CommitLog,
  checkHistory,
  type PositionRecord,
  tellViolation,
  toPositionRecord,
  type WriteRecord,
} from "../history-checker/index.js";
import { type ChaosProxy, openChaosProxy } from "../support/chaos-proxy.js";
import { wholeHistory } from "../support/whole-history.js";
import { BadDisk, type Sync } from "./bad-disk.js";
import { Chance } from "./chance.js";
import { type Connection, connectTo } from "./connection.js";
import { Evaluator } from "./evaluator.js";
import { MirrorProcess, type MirrorSettings } from "./mirror-process.js";
import { until } from "./pause.js";
import { createShared, ENVIRONMENTS } from "./planned-write.js";
import type { Programs } from "./programs.js";
import { Recording } from "./recording.js";
import { ServerProcess } from "./server-process.js";
import type { Setting } from "./setting.js";
import { Watcher } from "./watcher.js";
import { Writer } from "./writer.js";

export interface RunOptions {
  readonly name: string;
  readonly programs: Programs;
  readonly seed?: number | undefined;
  /** Further options of `serve`. */
  readonly serve?: readonly string[] | undefined;
  /** A disk that can be spoiled; see `Run.disk`. */
  readonly onBadDisk?: boolean | undefined;
  /** Whether one process answers everything, so that no answer may be older than another before it. Default true. */
  readonly isOneProcess?: boolean | undefined;
  readonly setting?: Partial<Pick<Setting, "writeTimeoutMs" | "pauseMs" | "silenceMs">> | undefined;
}

/** How many of each, and at which port; default the server's own. */
export interface Load {
  readonly port?: number | undefined;
  readonly writers?: number;
  readonly watchers?: number;
  readonly evaluators?: number;
}

/** What a run counted, and what was wrong. */
export interface RunReport {
  readonly violations: readonly string[];
  readonly acknowledged: number;
  readonly revisions: number;
}

/** Opens a server in a process of its own, on a directory of its own, with what all runs begin with. */
export async function openRun(options: RunOptions): Promise<Run> {
  const seed = options.seed ?? Math.floor(Math.random() * 2 ** 31);
  console.log(`${options.name}: seed ${seed}`);
  const directory = await mkdtemp(join(tmpdir(), "flagwire-processes-"));
  const { programs, serve, onBadDisk = false } = options;
  const data = join(directory, "data");
  const disk = onBadDisk ? new BadDisk(join(directory, "disk"), data) : undefined;
  const server = new ServerProcess({ flagwire: programs.flagwire, data, options: serve, env: disk?.env });
  try {
    await server.start();
    const connection = connectTo(server.port);
    await createShared(connection.admin);
    const position = await readPosition(connection);
    connection.drop();
    return new Run(options, seed, directory, server, disk, position);
  } catch (error) {
    await server.kill();
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

/** One server under load, and everything that its clients saw. */
export class Run implements AsyncDisposable {
  readonly chance: Chance;
  readonly recording = new Recording();
  readonly watchers: Watcher[] = [];
  readonly mirrors: MirrorProcess[] = [];
  readonly setting: Setting;
  readonly #writing = new AbortController();
  readonly #watching = new AbortController();
  readonly #writes: Promise<void>[] = [];
  readonly #watches: Promise<void>[] = [];
  readonly #proxies: ChaosProxy[] = [];
  #loads = 0;

  constructor(
    readonly options: RunOptions,
    seed: number,
    readonly directory: string,
    readonly server: ServerProcess,
    readonly badDisk: BadDisk | undefined,
    position: PositionRecord,
  ) {
    this.chance = new Chance(seed);
    const through = options.isOneProcess === false ? undefined : "server";
    const { writeTimeoutMs = 10_000, pauseMs = 20, silenceMs = 30_000 } = options.setting ?? {};
    this.recording.show(position);
    const { epoch } = position;
    this.setting = { recording: this.recording, epoch, through, writeTimeoutMs, pauseMs, silenceMs };
  }

  get disk(): BadDisk {
    if (this.badDisk === undefined) throw new Error("the run is on a good disk");
    return this.badDisk;
  }

  /** Starts clients; they go on until `finish`. */
  load({ port = this.server.port, writers = 3, watchers = 4, evaluators = 1 }: Load = {}): void {
    const name = `load-${this.#loads++}`;
    for (let n = 0; n < writers; n++) {
      const writer = new Writer(`${name}-writer-${n}`, port, this.setting, this.chance.fork());
      this.#writes.push(writer.run(this.#writing.signal));
    }
    for (let n = 0; n < evaluators; n++) {
      const evaluator = new Evaluator(`${name}-evaluator-${n}`, port, this.setting, this.chance.fork());
      this.#writes.push(evaluator.run(this.#writing.signal));
    }
    for (let n = 0; n < watchers; n++) {
      const environment = ENVIRONMENTS[n % ENVIRONMENTS.length] ?? "production";
      const once = n === watchers - 1 && n > 0;
      const watcher = new Watcher(`${name}-watcher-${n}`, environment, port, this.setting, this.chance.fork(), once);
      this.watchers.push(watcher);
      this.#watches.push(watcher.run(this.#watching.signal));
    }
  }

  /** Starts a mirror and waits until it has opened. */
  async mirror(settings: MirrorSettings = {}): Promise<MirrorProcess> {
    const name = `mirror-${this.recording.mirrors.length}`;
    const address = `127.0.0.1:${this.server.port}`;
    const mirror = new MirrorProcess(name, this.options.programs.mirror, { address, ...settings }, this.recording);
    this.mirrors.push(mirror);
    await until("a mirror opens", () => mirror.newest !== undefined || mirror.child.hasEnded);
    if (mirror.newest === undefined) throw new Error(`the mirror did not open: ${mirror.child.errors}`);
    return mirror;
  }

  /** A proxy in front of the server, which ends with the run. */
  async proxy(): Promise<ChaosProxy> {
    const proxy = await openChaosProxy(this.server.port);
    this.#proxies.push(proxy);
    return proxy;
  }

  /** Waits until a condition holds; rejects as `until` does, and where the server has ended meanwhile, with what it said. */
  async until(what: string, holds: () => boolean, timeoutMs?: number): Promise<void> {
    const { server } = this;
    await until(what, () => server.hasEnded || holds(), timeoutMs);
    if (server.hasEnded) throw new Error(`the server has ended before this: ${what}; it said: ${server.errors}`);
  }

  /** Waits until so many more writes were acknowledged. */
  async acknowledgedMore(count: number): Promise<void> {
    const wanted = this.recording.acknowledged + count;
    await this.until(`${count} more writes are acknowledged`, () => this.recording.acknowledged >= wanted);
  }

  /**
   * Ends the writes, waits until everybody has come to the last revision, stops the server in order, and judges what was
   * seen by the log. Mirrors that were killed are left out.
   */
  async finish(): Promise<RunReport> {
    this.#writing.abort();
    await Promise.all(this.#writes);
    const final = await this.#converge();
    const entries = await this.#readHistory(final);
    this.#watching.abort();
    await Promise.all(this.#watches);
    const exit = await this.server.stop();
    if (exit !== 0) throw new Error(`the server ended with ${exit}: ${this.server.errors}`);
    await this.verify();
    return this.#judge(final, entries);
  }

  /** Fails if the directory, which nobody serves, is not sound. */
  async verify(): Promise<void> {
    const [node = "", ...flagwire] = this.options.programs.flagwire;
    await promisify(execFile)(node, [...flagwire, "verify", "--data", this.server.command.data]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#writing.abort();
    this.#watching.abort();
    await Promise.all(this.mirrors.map(({ child }) => child.kill()));
    await this.server.kill();
    await Promise.all([...this.#writes, ...this.#watches]);
    for (const proxy of this.#proxies) await proxy[Symbol.asyncDispose]();
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Waits until everybody has come to the last revision, and returns it. A write that was given up may still have come. */
  async #converge(): Promise<PositionRecord> {
    const mirrors = this.mirrors.filter(({ child }) => !child.hasEnded);
    const clients = [...this.watchers, ...mirrors];
    let final = await this.#readNewest();
    for (;;) {
      const { revision } = final;
      for (const client of clients) await until(`all come to revision ${revision}`, () => client.revision >= revision);
      final = await this.#readNewest();
      if (final.revision === revision) break;
    }
    for (const client of clients) client.settle();
    // What they say from now on must be of the last revision too.
    for (const { child } of mirrors) child.signal("SIGTERM");
    await Promise.all(mirrors.map(({ child }) => child.ended));
    return final;
  }

  /** At least what was shown already: of several processes, one that was stopped may answer with less. */
  async #readNewest(): Promise<PositionRecord> {
    const { recording } = this;
    let position: PositionRecord | undefined;
    await until("the server shows what it has shown", async () => {
      const connection = connectTo(this.server.port);
      position = await readPosition(connection);
      connection.drop();
      return position.revision >= (recording.shown?.revision ?? 0);
    });
    if (position === undefined) throw new Error("the server has no position");
    recording.show(position);
    return position;
  }

  /** Oldest first. */
  async #readHistory({ revision }: PositionRecord): Promise<HistoryEntry[]> {
    let entries: HistoryEntry[] = [];
    await until("history has all that was shown", async () => {
      const connection = connectTo(this.server.port);
      entries = await wholeHistory(connection.admin);
      connection.drop();
      return Number(entries.at(-1)?.revision) >= revision;
    });
    return entries;
  }

  #judge(final: PositionRecord, entries: readonly HistoryEntry[]): RunReport {
    const durableAt = this.badDisk && earliestDurable(this.badDisk.syncs, this.recording.writes);
    const commits = entries.map((entry) => ({ entry, durableAt: durableAt?.(entry.comment) }));
    const log = new CommitLog([{ epoch: final.epoch, commits }]);
    const { writes, streams, mirrors, evaluations, acknowledged, uncertain, messages, sightings } = this.recording;
    // A machine under load does not keep time; what is promised about it is measured elsewhere.
    const violations = checkHistory({ writes, streams, mirrors, evaluations, final }, log);
    const counts = [
      `${acknowledged} writes acknowledged, ${uncertain} attempts uncertain, ${entries.length} revisions`,
      `${this.server.starts} starts of the server`,
      `${streams.length} streams with ${messages} messages`,
      `${this.recording.mirrors.length} mirrors with ${sightings} sightings`,
      `${evaluations.length} answers`,
    ];
    console.log(`${this.options.name}: ${counts.join("; ")}; ${violations.length} violations`);
    return { violations: violations.map(tellViolation), acknowledged, revisions: entries.length };
  }
}

/** When a write can have been durable at the earliest: at the end of the first sync that began after it was called. */
function earliestDurable(syncs: readonly Sync[], writes: readonly WriteRecord[]): (id: string) => number | undefined {
  const calledAt = new Map(writes.map(({ id, attempts }) => [id, attempts[0]?.calledAt]));
  const ends = syncs.toSorted((a, b) => a.startedAt - b.startedAt);
  // The end of the earliest to end of those from each one on.
  let earliest = Number.POSITIVE_INFINITY;
  const endsFrom = ends.map(() => earliest);
  for (let index = ends.length - 1; index >= 0; index--) {
    earliest = Math.min(earliest, ends[index]?.endedAt ?? earliest);
    endsFrom[index] = earliest;
  }
  return (id) => {
    const called = calledAt.get(id);
    // What a run begins with was written before anybody looked.
    if (called === undefined) return undefined;
    const index = ends.findIndex(({ startedAt }) => startedAt >= called);
    return endsFrom[index] ?? Number.POSITIVE_INFINITY;
  };
}

async function readPosition({ evaluation }: Connection): Promise<PositionRecord> {
  for await (const { commit } of evaluation.watch({ once: true }, { timeoutMs: 30_000 })) {
    if (commit?.position !== undefined) return toPositionRecord(commit.position);
  }
  throw new Error("the server has no position");
}
