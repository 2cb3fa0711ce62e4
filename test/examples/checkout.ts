import { execFile } from "node:child_process";
import { cp, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { promisify } from "node:util";

export const ROOT = resolve(import.meta.dirname, "../..");

/** What examples make for themselves. */
const MADE = new Set(["dist", "gen", "generated", "node_modules", ".venv", "__pycache__"]);

/** A copy of the checkout as examples need it, compiled, where nobody else compiles meanwhile. */
export interface Checkout {
  readonly folder: string;
  remove(): Promise<void>;
}

export async function openCheckout(): Promise<Checkout> {
  const folder = await mkdtemp(join(tmpdir(), "flagwire-examples-"));
  const remove = () => rm(folder, { recursive: true, force: true });
  const filter = (path: string) => !MADE.has(basename(path));
  try {
    for (const part of ["package.json", "tsconfig.json", "buf.yaml", "bin", "proto", "examples"]) {
      await cp(join(ROOT, part), join(folder, part), { recursive: true, filter });
    }
    await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"), "junction");
    await symlink(join(ROOT, "examples/python/.venv"), join(folder, "examples/python/.venv"), "junction");
    await compile(folder);
  } catch (error) {
    await remove();
    throw error;
  }
  return { folder, remove };
}

async function compile(folder: string): Promise<void> {
  const include = [join(ROOT, "src"), join(ROOT, "gen")];
  const compilerOptions = {
    rootDir: ROOT,
    outDir: join(folder, "dist"),
    typeRoots: [join(ROOT, "node_modules/@types")],
  };
  const config = join(folder, "tsconfig.build.json");
  await writeFile(config, JSON.stringify({ extends: join(ROOT, "tsconfig.json"), compilerOptions, include }));
  await runTypeScript(config);
}

/** Rejects with what the compiler has to say, which is on its standard output. */
export async function runTypeScript(project: string): Promise<void> {
  try {
    await promisify(execFile)(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", project]);
  } catch (cause) {
    const output = typeof cause === "object" && cause !== null && "stdout" in cause ? cause.stdout : "";
    throw new Error(`${project} cannot be compiled:\n${output}`, { cause });
  }
}
