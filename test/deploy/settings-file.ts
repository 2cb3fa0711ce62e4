import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runFlagwire } from "../cli/run-flagwire.js";

/** What `serve` complains of in a file of settings; empty if it would start. */
export async function settingsFileProblem(content: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "flagwire-settings-"));
  try {
    const path = join(directory, "flagwire.yaml");
    await writeFile(path, content);
    return (await runFlagwire(["serve", "--config", path, "--print-config"])).stderr;
  } finally {
    await rm(directory, { recursive: true });
  }
}
