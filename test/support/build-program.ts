import { mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { build } from "esbuild";

const ROOT = resolve(import.meta.dirname, "../..");

/** JavaScript for processes of their own. */
export interface Build {
  /** The folder that it is in, where programs find the project's dependencies. */
  readonly folder: string;
  /** What is in it, by the paths in the project. */
  readonly sources: readonly string[];
  /** What it imports of packages and of Node. */
  readonly packages: readonly string[];
  /** The path of a program, by its path in the project. */
  compiled(source: string): string;
  remove(): Promise<void>;
}

/**
 * Node 20 runs no TypeScript: makes JavaScript of a file of the project, or of a folder's programs, with all that they import, in
 * a tenth of a second. Each program is one file and what it loads late: loading hundreds would be half of its start. Types are not
 * checked here; `npm run types` does that.
 */
export async function buildProgram(source: string): Promise<Build> {
  const folder = await mkdtemp(join(tmpdir(), "flagwire-build-"));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"), "junction");
    await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }));
    const entryPoints = source.endsWith(".ts") ? [source] : await programsOf(source);
    const { metafile } = await build({
      absWorkingDir: ROOT,
      entryPoints,
      outbase: ROOT,
      outdir: join(folder, "out"),
      bundle: true,
      splitting: true,
      // What programs share is beside them, so that a path relative to `import.meta.url` stays what it was.
      chunkNames: `${dirname(entryPoints[0] ?? "")}/[name]-[hash]`,
      packages: "external",
      platform: "node",
      format: "esm",
      target: "es2022",
      logLevel: "silent",
      metafile: true,
    });
    const imported = Object.values(metafile.outputs).flatMap(({ imports }) => imports);
    const packages = new Set(imported.filter(({ external }) => external).map(({ path }) => path));
    return {
      folder,
      sources: Object.keys(metafile.inputs),
      packages: [...packages],
      remove,
      compiled: (path) => join(folder, "out", path.replace(/\.ts$/, ".js")),
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** A folder's main.ts and those beside it, such as worker-main.ts; of a folder without one, all files. */
async function programsOf(folder: string): Promise<string[]> {
  const files = (await readdir(join(ROOT, folder))).filter((file) => file.endsWith(".ts"));
  const mains = files.filter((file) => /^(.+-)?main\.ts$/.test(file));
  return (mains.length > 0 ? mains : files).map((file) => `${folder}/${file}`);
}
