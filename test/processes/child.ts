import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** How a process ended: with a code, or by a signal. */
export type Exit = number | NodeJS.Signals | null;

/** A program of ours that prints lines of JSON. */
export class Child {
  readonly ended: Promise<Exit>;
  /** What it has said on standard error. */
  errors = "";
  hasEnded = false;
  readonly #process: ChildProcess;

  constructor(command: readonly string[], read: (line: string) => void, env: NodeJS.ProcessEnv = {}) {
    const [program = process.execPath, ...args] = command;
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
    this.#process = child;
    createInterface(child.stdout).on("line", (line) => {
      // A kill may cut the last line off.
      if (line.endsWith("}")) read(line);
    });
    child.stderr.on("data", (bytes: Buffer) => {
      this.errors += bytes.toString();
    });
    this.ended = once(child, "close").then(([code, signal]: (number | NodeJS.Signals | null)[]): Exit => {
      this.hasEnded = true;
      return code ?? signal ?? null;
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.ended;
  }
}
