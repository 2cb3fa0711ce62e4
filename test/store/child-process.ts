import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";

export interface Child {
  /** The lines that it has printed, as JSON. */
  readonly lines: readonly ChildLine[];
  kill(signal: NodeJS.Signals): void;
  /** Resolves when it has ended and all its output was read. */
  readonly ended: Promise<void>;
}

export type ChildLine = { readonly [name: string]: unknown };

/** Starts a program that prints lines of JSON, with `env` beside our own. It is killed with the test. */
export function startChild(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Child {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  const lines: ChildLine[] = [];
  // A line cut off by a kill never ends.
  createInterface(child.stdout).on("line", (line) => {
    if (line.endsWith("}")) lines.push(JSON.parse(line));
  });
  // lmdb prints what it also throws.
  child.stderr.resume();
  const ended = once(child, "close").then(() => undefined);
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  return { lines, ended, kill: (signal) => child.kill(signal) };
}
