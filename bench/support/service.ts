import type { ChildProcess, StdioOptions } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { createServer } from "node:net";
import { text } from "node:stream/consumers";
import { type ProcessOptions, startProcess, stopProcess } from "./processes.js";

export interface ServiceOptions {
  /** The data directory. */
  readonly data: string;
  /** A flag file to begin with. */
  readonly seed?: string | undefined;
  readonly cores?: readonly number[] | undefined;
  readonly nodeOptions?: readonly string[];
  /** More of its command line. Default nothing. */
  readonly args?: readonly string[];
  /** Where it listens. Default a port that is free. */
  readonly port?: number;
}

/** `flagwire serve`, as its users run it. */
export interface Service extends AsyncDisposable {
  readonly process: ChildProcess;
  readonly pid: number;
  readonly address: string;
  /** From starting the process until `/readyz` answered 200, in milliseconds. */
  readonly readyAfterMs: number;
  /** From starting the process until it said that it serves, the import of the seed included, in milliseconds. */
  readonly servingAfterMs: number;
}

const startTimeoutMs = 60_000;

/** Starts the service and waits until it serves. */
export async function openService(options: ServiceOptions): Promise<Service> {
  const port = options.port ?? (await freePort());
  const address = `127.0.0.1:${port}`;
  const seed = options.seed === undefined ? [] : ["--import", options.seed];
  const startedAt = performance.now();
  const child = startProcess(
    toProcess(options, [
      "serve",
      "--listen",
      address,
      "--data",
      options.data,
      ...seed,
      "--json",
      ...(options.args ?? []),
    ]),
  );
  try {
    const [readyAt, servingAt] = await Promise.all([untilReady(child, port), untilAnnounced(child)]);
    return {
      process: child,
      pid: child.pid ?? Number.NaN,
      address,
      readyAfterMs: readyAt - startedAt,
      servingAfterMs: servingAt - startedAt,
      [Symbol.asyncDispose]: () => stopProcess(child),
    };
  } catch (error) {
    await stopProcess(child);
    throw error;
  }
}

/** Whether `flagwire serve` knows an option, by its help. */
export async function serviceTakes(option: string): Promise<boolean> {
  const stdio: StdioOptions = ["ignore", "pipe", "inherit"];
  const child = startProcess({ module: "../src/cli/main.js", args: ["serve", "--help"], stdio });
  return child.stdout !== null && (await text(child.stdout)).includes(option);
}

function toProcess({ cores, nodeOptions = [] }: ServiceOptions, args: readonly string[]): ProcessOptions {
  // What it logs is of no interest; what it complains about when it cannot start is.
  return { module: "../src/cli/main.js", args, nodeOptions, cores, stdio: ["ignore", "pipe", "ignore", "ipc"] };
}

/** It announces itself in one line on standard output when it serves and has imported its seed. */
async function untilAnnounced(child: ChildProcess): Promise<number> {
  const { stdout } = child;
  if (stdout === null) throw new Error("the service has no output");
  const gone = once(child, "exit").then(([code]) => {
    throw new Error(`the service ended with ${code} before it served`);
  });
  await Promise.race([once(stdout, "data", { signal: AbortSignal.timeout(startTimeoutMs) }), gone]);
  // Nobody listens to how it ends any more.
  gone.catch(() => {});
  stdout.resume();
  return performance.now();
}

/** When `/readyz` answered 200, by `performance.now`. It is asked every millisecond. */
export async function untilReady(child: ChildProcess, port: number): Promise<number> {
  const deadline = performance.now() + startTimeoutMs;
  while (performance.now() < deadline && child.exitCode === null) {
    if ((await statusOf(port)) === 200) return performance.now();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error("the service did not become ready");
}

/** The status of `/readyz`; undefined where nobody answers. */
function statusOf(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const call = request({ host: "127.0.0.1", port, path: "/readyz", agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    call.on("error", () => resolve(undefined));
    call.end();
  });
}

/** A port of the loopback interface that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port is free");
  return address.port;
}
