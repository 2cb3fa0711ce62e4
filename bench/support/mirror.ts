import type { ChildProcess } from "node:child_process";
import type { MirrorOpened, MirrorOrder } from "./mirror-process.js";
import { ask, startProcess, stopProcess } from "./processes.js";

/** A mirror in a process of its own. */
export interface RunningMirror extends AsyncDisposable {
  readonly process: ChildProcess;
  readonly opened: MirrorOpened;
}

/** Starts a process and opens a mirror in it. */
export async function openMirrorProcess(address: string, cores?: readonly number[]): Promise<RunningMirror> {
  const child = startProcess({ module: "support/mirror-process.js", nodeOptions: ["--expose-gc"], cores });
  try {
    await ask(child, undefined);
    const order: MirrorOrder = { kind: "open", address };
    const opened = await ask<MirrorOpened>(child, order);
    return { process: child, opened, [Symbol.asyncDispose]: () => stopProcess(child) };
  } catch (error) {
    await stopProcess(child);
    throw error;
  }
}
