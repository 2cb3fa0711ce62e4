import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { ROOT } from "./checkout.js";

// What examples need beside Node, and why it is missing here; undefined where it is there. Tests install nothing.

/** Go must fetch neither modules nor another version of itself. */
export const OFFLINE_GO = { GOPROXY: "off", GOTOOLCHAIN: "local" } as const;

/** `path` is a folder with `requirements.txt` and the `setup.sh` that installs them. */
export function missingOfPython(path: string): string | undefined {
  const folder = join(ROOT, path);
  const installed = join(folder, ".venv/installed.txt");
  if (
    existsSync(installed) &&
    readFileSync(installed, "utf8") === readFileSync(join(folder, "requirements.txt"), "utf8")
  ) {
    return undefined;
  }
  return answers("python3", ["--version"]) ? `${path}/setup.sh has not been run` : "no python3 here";
}

export function missingOfGo(): string | undefined {
  if (!answers("go", ["version"])) return "no go here";
  const packages = ["grpc", "grpc/cmd/protoc-gen-go-grpc", "protobuf/cmd/protoc-gen-go"].map(
    (path) => `google.golang.org/${path}`,
  );
  return answers("go", ["list", "-deps", ...packages]) ? undefined : "examples/go/generate.sh has not been run";
}

/** The program of a Chromium; undefined where there is none. */
export function findChromium(): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const names = ["chromium", "chromium-browser", "google-chrome"];
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path));
}

function answers(command: string, args: readonly string[]): boolean {
  try {
    const env = { ...process.env, ...OFFLINE_GO };
    execFileSync(command, args, { cwd: join(ROOT, "examples/go"), env, stdio: "ignore", timeout: 20_000 });
    return true;
  } catch {
    return false;
  }
}
