import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Where data directories are made. */
export const dataRoot = tmpdir();

/** A directory that is removed at the end, also where the run is stopped. */
export async function openTempDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(dataRoot, "flagwire-bench-"));
  // After the listener that kills the processes, which was there before any of this module's.
  const removeNow = (): void => rmSync(path, { recursive: true, force: true });
  process.once("exit", removeNow);
  return {
    path,
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true });
      process.off("exit", removeNow);
    },
  };
}
