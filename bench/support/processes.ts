import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { commandOnCores } from "./cores.js";

export interface ProcessOptions {
  /** A compiled module, relative to `bench/`. */
  readonly module: string;
  readonly args?: readonly string[];
  /** Options of Node itself. Default none. */
  readonly nodeOptions?: readonly string[];
  /** The cores that it may run on. Default all. */
  readonly cores?: readonly number[] | undefined;
  /** Default: no input and output, and a channel for messages. */
  readonly stdio?: StdioOptions;
}

const open = new Set<ChildProcess>();

// A run that is stopped or fails leaves nothing behind.
process.once("exit", () => {
  for (const child of open) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(1));

/** A Node process of ours. It is ended with this one at the latest. */
export function startProcess(options: ProcessOptions): ChildProcess {
  const module = fileURLToPath(new URL(`../${options.module}`, import.meta.url));
  const node = [process.execPath, ...(options.nodeOptions ?? []), module, ...(options.args ?? [])];
  const [command = process.execPath, ...args] = commandOnCores(node, options.cores);
  const child = spawn(command, args, { stdio: options.stdio ?? ["ignore", "inherit", "inherit", "ipc"] });
  open.add(child);
  child.once("exit", () => open.delete(child));
  return child;
}

/** Asks a process to end, and makes it after `timeoutMs`. */
export async function stopProcess(child: ChildProcess, timeoutMs = 10_000): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  await exited;
  clearTimeout(timer);
}

/** Sends a message, if there is one to send, and waits for the next that comes back. */
export async function ask<Answer>(
  child: ChildProcess,
  message: object | undefined,
  timeoutMs = 30_000,
): Promise<Answer> {
  const answer = receive<Answer>(child, timeoutMs);
  if (message !== undefined) child.send(message);
  return answer;
}

function receive<Answer>(child: ChildProcess, timeoutMs: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void) => {
      clearTimeout(timer);
      child.off("message", onMessage);
      child.off("exit", onExit);
      end();
    };
    const onMessage = (answer: unknown) => settle(() => resolve(answer as Answer));
    const onExit = (code: number | null) =>
      settle(() => reject(new Error(`${child.spawnargs.join(" ")} ended with ${code}`)));
    const timer = setTimeout(
      () => settle(() => reject(new Error(`${child.spawnargs.join(" ")} was silent for ${timeoutMs} ms`))),
      timeoutMs,
    );
    child.once("message", onMessage);
    child.once("exit", onExit);
  });
}
