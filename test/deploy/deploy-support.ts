import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { PassThrough } from "node:stream";
import { systemClock } from "../../src/base/index.js";
import type { CommandRunner } from "../../src/cli/command-runner.js";
import { createProgram } from "../../src/cli/program.js";

export const root = resolve(import.meta.dirname, "../..");

export const read = (path: string) => readFileSync(join(root, path), "utf8");

/** Why a command line is none of ours; undefined if it is one. Nothing is run. */
export async function problemOf(argv: readonly string[]): Promise<string | undefined> {
  let ran = false;
  const run: CommandRunner = () => async () => {
    ran = true;
  };
  const quiet = new PassThrough().resume();
  const io = {
    argv,
    env: {},
    stdin: new PassThrough(),
    stdout: quiet,
    stderr: quiet,
    signal: new AbortController().signal,
    userName: "ada",
    version: "1.2.3",
    clock: systemClock,
    newIdempotencyKey: () => "",
  };
  try {
    await createProgram(io, run).parseAsync(argv, { from: "user" });
  } catch (error) {
    return (error as Error).message;
  }
  return ran ? undefined : "no command";
}

/** The command lines of `program` in a shell script or a table of cron, without what is redirected. */
export function commandsIn(script: string, program = "flagwire"): string[][] {
  const lines = script.replaceAll("\\\n", " ").split("\n");
  const found = lines.flatMap((line) => {
    const [, rest] = new RegExp(`(?:^\\s*|if |node |\\* +)${program} (.*)`).exec(line) ?? [];
    return rest === undefined ? [] : [rest.split(/ >|;|\||&&|\)$/)[0] ?? ""];
  });
  return found.map((rest) => [...rest.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c ?? ""));
}
