import { cp, mkdir, mkdtemp, readFile, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { ROOT } from "./checkout.js";

const { compile }: { compile(root: string): boolean } = await import(join(ROOT, "examples/compile.mjs"));

const longAgo = new Date(2020, 1, 1);
let root: string;
const at = (path: string) => join(root, path);
const compiled = (name: string) => readFile(at(`dist/src/${name}.js`), "utf8");

/** A checkout of two files, both compiled. Each test gets a copy. */
let compiledOnce: string;

beforeAll(async () => {
  root = compiledOnce = await mkdtemp(join(tmpdir(), "flagwire-compile-"));
  await mkdir(at("src"));
  await symlink(join(ROOT, "node_modules"), at("node_modules"), "junction");
  const compilerOptions = { rootDir: ".", outDir: "dist", target: "es2022", module: "nodenext", types: [] };
  await writeFile(at("tsconfig.json"), JSON.stringify({ compilerOptions, include: ["src"] }));
  await writeFile(at("src/a.ts"), "export const a: number = 1;\n");
  await writeFile(at("src/b.ts"), "export const b: number = 2;\n");
  for (const path of ["tsconfig.json", "src/a.ts", "src/b.ts"]) await utimes(at(path), longAgo, longAgo);
  expect(compile(root)).toBe(true);
});
afterAll(() => rm(compiledOnce, { recursive: true, force: true }));

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "flagwire-compile-"));
  const folder = root;
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await cp(compiledOnce, root, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
});

describe("before an example runs, a checkout", () => {
  it("that was never compiled is", async () => {
    expect(await compiled("a")).toContain("a = 1");
    expect(await compiled("b")).toContain("b = 2");
  });

  it("whose dist is newer than its sources is left alone", async () => {
    const before = await stat(at("dist/src/a.js"));
    expect(compile(root)).toBe(true);
    expect((await stat(at("dist/src/a.js"))).mtimeMs).toBe(before.mtimeMs);
  });

  it("with a newer source is compiled into its place, and nothing else goes", async () => {
    await writeFile(at("dist/src/kept.js"), "");
    await utimes(at("dist/src/a.js"), longAgo, longAgo);
    await writeFile(at("src/a.ts"), "export const a: number = 3;\n");
    expect(compile(root)).toBe(true);
    expect(await compiled("a")).toContain("a = 3");
    expect(await compiled("kept")).toBe("");
  });

  it("of which a part is missing, or older than its configuration, is compiled", async () => {
    await rm(at("dist/src/b.js"));
    expect(compile(root)).toBe(true);
    expect(await compiled("b")).toContain("b = 2");
    await utimes(at("tsconfig.json"), new Date(), new Date());
    await writeFile(at("dist/src/a.js"), "spoilt");
    await utimes(at("dist/src/a.js"), longAgo, longAgo);
    expect(compile(root)).toBe(true);
    expect(await compiled("a")).toContain("a = 1");
  });

  it("that does not compile keeps what it had, and is tried again", async () => {
    await utimes(at("dist/src/a.js"), longAgo, longAgo);
    await writeFile(at("src/a.ts"), "export const a: number = 'text';\n");
    expect([compile(root), compile(root)]).toEqual([false, false]);
    expect(await compiled("a")).toContain("a = 1");
  });

  it("without sources, such as a copy of the package, is left alone", async () => {
    await rm(at("src"), { recursive: true });
    await rm(at("dist"), { recursive: true });
    expect(compile(root)).toBe(true);
    await expect(compiled("a")).rejects.toThrow("ENOENT");
  });
});
