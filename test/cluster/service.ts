import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { expect, onTestFinished, vi } from "vitest";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { Build } from "../support/build-program.js";

export const PATIENCE = { timeout: 30_000, interval: 10 } as const;

/** `flagwire serve`, in processes of its own. It is gone with the test. */
export interface Service {
  readonly child: ChildProcess;
  readonly address: string;
  /** What it printed when it was ready. */
  readonly document: {
    readonly flags: number;
    readonly revision: string;
    readonly workers: number;
    readonly flagd?: { readonly sync: string; readonly ofrep: string };
  };
  /** The process ids of the workers that have become ready, by their numbers; the newest of each. */
  workers(): Map<number, number>;
  stderr(): string;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

/** A service that may not have come up. */
export type Starting = Pick<Service, "child" | "workers" | "stderr" | "ended"> & { stdout(): string };

export async function dataDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "flagwire-cluster-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** Starts it without waiting; `prefix` is a program that is given the command to run. */
export function launch(build: Build, argv: readonly string[], prefix: readonly string[] = []): Starting {
  const command = [...prefix, process.execPath, build.compiled("src/cli/main.ts"), "serve", "--json", ...argv];
  const child = spawn(command[0] ?? "", command.slice(1), { stdio: ["ignore", "pipe", "pipe"] });
  const output = { stdout: "", stderr: "" };
  child.stdout?.on("data", (chunk: Buffer) => {
    output.stdout += chunk.toString();
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    output.stderr += chunk.toString();
  });
  const ended = once(child, "close").then(([code, signal]) => ({ code, signal }));
  const workers = () => {
    const found = new Map<number, number>();
    for (const [, number, pid] of output.stderr.matchAll(/"worker":(\d+),"pid":(\d+),"msg":"a worker serves"/g)) {
      found.set(Number(number), Number(pid));
    }
    return found;
  };
  onTestFinished(async () => {
    child.kill("SIGKILL");
    // Its output ends when the last of its workers has gone, too.
    await ended;
  });
  return { child, workers, ended, stdout: () => output.stdout, stderr: () => output.stderr };
}

export async function start(build: Build, workers: number | "auto", argv: readonly string[] = []): Promise<Service> {
  const data = argv.includes("--data") ? [] : ["--data", await dataDirectory()];
  const listen = argv.includes("--listen") ? [] : ["--listen", "127.0.0.1:0"];
  const starting = launch(build, ["--workers", String(workers), ...data, ...listen, ...argv]);
  await vi.waitFor(() => expect(starting.stdout(), starting.stderr()).toContain("\n"), PATIENCE);
  const document = JSON.parse(starting.stdout());
  return { ...starting, address: document.address, document };
}

/** A connection of its own, which stays where it is. */
export interface Connection {
  readonly admin: Client<typeof AdminService>;
  readonly evaluation: Client<typeof EvaluationService>;
  close(): void;
}

export function connectTo(address: string): Connection {
  const sessionManager = new Http2SessionManager(`http://${address}`);
  const transport = createGrpcTransport({ baseUrl: `http://${address}`, sessionManager });
  return {
    admin: createClient(AdminService, transport),
    evaluation: createClient(EvaluationService, transport),
    close: () => sessionManager.abort(),
  };
}

/** One connection to each worker of a service that has no others. Closed with the test. */
export async function connectToEach(service: Service): Promise<Connection[]> {
  const connections: Connection[] = [];
  for (let number = 0; number < service.document.workers; number++) {
    const connection = connectTo(service.address);
    connections.push(connection);
    onTestFinished(() => connection.close());
    await connection.admin.listEnvironments({});
  }
  return connections;
}

/** A stream that is opened again, on a new connection, whenever it ends. */
export class Watcher {
  /** Of the newest update. */
  revision = 0n;
  /** Streams that were opened and gave something. */
  streams = 0;
  isOpen = false;
  readonly #address: string;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(address: string) {
    this.#address = address;
    this.#running = this.#run();
  }

  /** Opens one, and waits for its first update. Closed with the test. */
  static async open(address: string): Promise<Watcher> {
    const watcher = new Watcher(address);
    onTestFinished(() => watcher.close());
    await vi.waitFor(() => expect(watcher.isOpen).toBe(true), PATIENCE);
    return watcher;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const connection = connectTo(this.#address);
      try {
        const { signal } = this.#stop;
        for await (const { commit } of connection.evaluation.watch({ environment: "production" }, { signal })) {
          if (commit !== undefined) this.#take(commit.position?.revision ?? 0n);
        }
      } catch {
        // As a client would, it comes back: after a goodbye, a kill, or while nobody serves.
      } finally {
        this.isOpen = false;
        connection.close();
      }
    }
  }

  #take(revision: bigint): void {
    if (!this.isOpen) this.streams++;
    this.isOpen = true;
    this.revision = revision;
  }
}

/** Whether a process is there. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** The processes that a process has started. Linux tells. */
export async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  return text.split(" ").filter(Boolean).map(Number);
}

/** The group of a process. Linux tells. */
export async function groupOf(pid: number): Promise<number> {
  // Process id, name in brackets, state, parent, group, …
  const text = await readFile(`/proc/${pid}/stat`, "utf8");
  return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[2]);
}

/** How many connections of a port each process has. Linux tells. */
export async function connectionsOf(address: string, pids: Iterable<number>): Promise<number[]> {
  const port = Number(address.split(":")[1]).toString(16).toUpperCase().padStart(4, "0");
  const table = await readFile("/proc/net/tcp", "utf8");
  // Columns: number, local address, remote address, state (01: established), …, inode.
  const rows = table.split("\n").map((line) => line.trim().split(/\s+/));
  const inodes = new Set(rows.flatMap((row) => (row[1]?.endsWith(`:${port}`) && row[3] === "01" ? [row[9]] : [])));
  const counts: number[] = [];
  for (const pid of pids) {
    const folder = `/proc/${pid}/fd`;
    const links = await Promise.all((await readdir(folder)).map((fd) => readlink(join(folder, fd)).catch(() => "")));
    counts.push(links.filter((link) => inodes.has(/^socket:\[(\d+)\]$/.exec(link)?.[1] ?? "")).length);
  }
  return counts;
}
