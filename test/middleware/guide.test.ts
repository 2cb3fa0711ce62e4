import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const guide = await readFile(join(root, "docs/middleware.md"), "utf8");
const fenced = (language: string): string[] =>
  [...guide.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\``, "gm"))].map(([, text = ""]) => text);

describe("the guide to the middleware", () => {
  it("marks as TypeScript what compiles in its strictest mode", async () => {
    const directory = await mkdtemp(join(tmpdir(), "flagwire-guide-"));
    try {
      const snippets = fenced("ts");
      expect(snippets.length).toBeGreaterThan(0);
      const files = snippets.map((_, index) => `snippet-${index}.ts`);
      const { compilerOptions } = JSON.parse(await readFile(join(root, "tsconfig.json"), "utf8"));
      const paths = {
        flagwire: [join(root, "src/client/index.ts")],
        "flagwire/*": [join(root, "src/middleware/*.ts")],
      };
      const { outDir, declaration, ...strict } = compilerOptions;
      const options = { ...strict, rootDir: "/", noEmit: true, paths };
      await Promise.all([
        symlink(join(root, "node_modules"), join(directory, "node_modules"), "junction"),
        writeFile(join(directory, "package.json"), '{"type":"module"}'),
        writeFile(join(directory, "tsconfig.json"), JSON.stringify({ compilerOptions: options, files })),
        ...files.map((file, index) => writeFile(join(directory, file), snippets[index] ?? "")),
      ]);
      expect(await compile(directory)).toBe("");
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });

  it("marks the rest as JavaScript", () => {
    expect(fenced("js").length).toBeGreaterThanOrEqual(5);
    expect(fenced("ts").join("\n")).toMatch(/context: \(request\)/);
  });
});

/** What the compiler complains of. */
async function compile(directory: string): Promise<string> {
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  try {
    return (await promisify(execFile)(process.execPath, [compiler, "-p", directory], { cwd: directory })).stdout;
  } catch (error) {
    return (error as { readonly stdout: string }).stdout || String(error);
  }
}
