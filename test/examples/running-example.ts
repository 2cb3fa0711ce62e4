import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import { expect, onTestFinished, vi } from "vitest";
import { runFlagwire } from "../cli/run-flagwire.js";
import type { Checkout } from "./checkout.js";

/**
 * An example that runs as its one command runs it, with a server of its own unless the environment names another. It is gone with
 * the test.
 */
export interface RunningExample {
  /** What it has printed so far. */
  output(): string;
  /** Waits until it has printed something, and gives what the expression matched. */
  printed(pattern: RegExp): Promise<RegExpExecArray>;
  /** Makes the checkout new for everybody. */
  rollOut(): Promise<void>;
  /** Ends its own server as nobody should. */
  killServer(): Promise<void>;
  /** Its exit code, when it and its server have ended by themselves. */
  ended(): Promise<number | null>;
  /** As Ctrl-C does. Resolves to its exit code, when it and its server have ended. */
  interrupt(): Promise<number | null>;
}

const PATIENCE = { timeout: 60_000, interval: 10 } as const;

export async function runExample(
  checkout: Checkout,
  name: string,
  env: Readonly<Record<string, string>> = {},
): Promise<RunningExample> {
  const inherited = Object.entries(process.env).filter(([variable]) => !variable.startsWith("FLAGWIRE_"));
  const child = spawn(process.execPath, ["examples/run.mjs", name], {
    cwd: checkout.folder,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...Object.fromEntries(inherited), PORT: "0", ...env },
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
  }
  const closed = once(child, "close");
  const ended = async () => {
    await closed;
    return child.exitCode;
  };
  const interrupt = () => {
    child.kill("SIGINT");
    return ended();
  };
  onTestFinished(() => void interrupt());
  const printed = (pattern: RegExp) =>
    vi.waitFor(() => {
      const match = pattern.exec(text);
      if (match === null && child.exitCode !== null) throw new Error(`${name} ended by itself:\n${text}`);
      if (match === null) expect.fail(`${name} has not printed ${pattern}, but:\n${text}`);
      return match;
    }, PATIENCE);
  const address = env.FLAGWIRE_ADDRESS ?? (await printed(/sample flags is on (\S+)\./))[1] ?? "";
  return {
    output: () => text,
    printed,
    ended,
    interrupt,
    async killServer() {
      const { stdout } = await promisify(execFile)("pgrep", ["-P", String(child.pid), "-f", "serve --json"]);
      process.kill(Number(stdout), "SIGKILL");
    },
    async rollOut() {
      const { exitCode, stderr } = await runFlagwire(["rollout", "new-checkout", "100%", "--address", address]);
      expect(exitCode, stderr).toBe(0);
    },
  };
}
