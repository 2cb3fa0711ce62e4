import { execFile } from "node:child_process";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const ROOT = resolve(import.meta.dirname, "../..");

/** Compiled JavaScript of the server and of the programs in `test/server/children`, for processes of their own. */
export interface Build {
  /** The path of a compiled program, by its file's name without the ending. */
  child(name: string): string;
  remove(): Promise<void>;
}

/** Node 20 runs no TypeScript: compiles what a child process needs, in about a second. */
export async function buildChildren(): Promise<Build> {
  const path = await mkdtemp(join(tmpdir(), "flagwire-build-"));
  await symlink(join(ROOT, "node_modules"), join(path, "node_modules"), "junction");
  await writeFile(join(path, "package.json"), JSON.stringify({ type: "module" }));
  const compilerOptions = {
    rootDir: ROOT,
    outDir: join(path, "out"),
    declaration: false,
    typeRoots: [join(ROOT, "node_modules/@types")],
  };
  const config = {
    extends: join(ROOT, "tsconfig.json"),
    compilerOptions,
    include: [join(ROOT, "test/server/children")],
  };
  await writeFile(join(path, "tsconfig.json"), JSON.stringify(config));
  const remove = () => rm(path, { recursive: true, force: true });
  try {
    await promisify(execFile)(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", path]);
  } catch (cause) {
    await remove();
    // What the compiler has to say is on its standard output.
    const output = typeof cause === "object" && cause !== null && "stdout" in cause ? cause.stdout : "";
    throw new Error(`the programs of the tests cannot be compiled:\n${output}`, { cause });
  }
  return { child: (name) => join(path, "out/test/server/children", `${name}.js`), remove };
}
