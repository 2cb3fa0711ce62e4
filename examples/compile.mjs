// Compiles Flagwire where dist is missing, or older than its sources. Into its place: a server of this checkout may be running.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** Whether `root`, a checkout, is compiled then; if not, the compiler has said why. A copy without sources is left as it is. */
export function compile(root) {
  if (isUpToDate(root)) return true;
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const args = [compiler, "-p", join(root, "tsconfig.json"), "--noEmitOnError"];
  return spawnSync(process.execPath, args, { stdio: "inherit" }).status === 0;
}

/** Each source against what is made of it: a compilation that was cut off is noticed too. */
function isUpToDate(root) {
  const configuredAtMs = changedAtMs(join(root, "tsconfig.json"));
  return sourcesOf(root).every((source) => {
    const compiledAtMs = changedAtMs(join(root, "dist", source.replace(/\.ts$/, ".js")));
    return compiledAtMs >= changedAtMs(join(root, source)) && compiledAtMs >= configuredAtMs;
  });
}

function sourcesOf(root) {
  const folders = ["src", "gen"].filter((folder) => existsSync(join(root, folder)));
  const files = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true }).map((path) => join(folder, path)),
  );
  return files.filter((file) => file.endsWith(".ts"));
}

/** -1 where it is missing. */
function changedAtMs(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? -1;
}
