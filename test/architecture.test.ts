import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

/** What each folder of src may import of ours, as docs/ARCHITECTURE.md explains. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  base: [],
  contract: ["gen"],
  engine: ["gen", "base"],
  store: ["gen", "base"],
  watch: ["gen", "base"],
  client: ["gen", "base", "engine"],
  flagd: ["gen", "base", "engine"],
  resolution: ["gen", "base"],
  openfeature: ["gen", "base", "engine", "client", "resolution"],
  "openfeature-web": ["gen", "base", "resolution"],
  middleware: ["gen", "base", "engine", "client"],
  testing: ["gen", "base", "engine", "client", "flagd", "openfeature", "store", "server"],
  server: ["gen", "base", "engine", "resolution", "store", "watch", "flagd"],
  cluster: ["gen", "base", "store", "server"],
  cli: ["gen", "base", "contract", "engine", "store", "watch", "client", "flagd", "openfeature", "server", "cluster"],
};
/** Folders whose types a folder may use, but nothing that exists at run time. */
const allowedTypes: Readonly<Record<string, readonly string[]>> = { watch: ["store"], resolution: ["engine"] };
/** Packages with one home. */
const homes: Readonly<Record<string, RegExp>> = {
  lmdb: /^store\//,
  "@grpc/grpc-js": /^(server\/grpc\/|middleware\/grpc)/,
  "@openfeature/server-sdk": /^openfeature\//,
  "@openfeature/web-sdk": /^openfeature-web\//,
  // Not where evaluations are, which are not traced, nor in what goes to browsers.
  "@opentelemetry/api": /^(client|server)\//,
  // Installed by those who export, so loaded there alone.
  "@opentelemetry/sdk-trace-base": /^server\/telemetry\//,
  "@opentelemetry/exporter-trace-otlp-http": /^server\/telemetry\//,
  "@opentelemetry/resources": /^server\/telemetry\//,
};
const pure = ["engine", "client", "resolution", "openfeature-web"];
const impure = /\b(process|console|Date\.now|Math\.random|setTimeout|setInterval)\b/;

const root = resolve(import.meta.dirname, "..");
const src = join(root, "src");

interface Import {
  readonly file: string;
  readonly target: string;
  readonly typesOnly: boolean;
}

const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
const textOf = (file: string) => readFileSync(join(src, file), "utf8");
const codeOf = (file: string) => textOf(file).replace(/\/\*[\s\S]*?\*\/|(?<!:)\/\/.*$/gm, "");
const folderOf = (path: string) => path.split("/")[0] ?? "";

const statement =
  /\b(?:import|export)\s+(type\s+)?(?:([\w*{}\s,$]+?)\s+from\s+)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/g;
const imports: Import[] = files.flatMap((file) =>
  [...codeOf(file).matchAll(statement)].map(([, type, names, from, dynamic]) => {
    const named = /^\{([\s\S]*)\}$/
      .exec(names?.trim() ?? "")?.[1]
      ?.split(",")
      .filter((name) => name.trim() !== "");
    const typesOnly = type !== undefined || (named?.length ? named.every((name) => /^\s*type\s/.test(name)) : false);
    return { file, target: from ?? dynamic ?? "", typesOnly };
  }),
);
/** Imports of our own files, with the target relative to src (`gen/…` for generated code). */
const own = imports
  .filter(({ target }) => target.startsWith("."))
  .map((entry) => {
    const path = relative(src, resolve(src, dirname(entry.file), entry.target)).replace(/\.js$/, ".ts");
    return { ...entry, target: path.startsWith("../gen/") ? path.slice(3) : path };
  });

test("the scan sees the sources and their imports", () => {
  expect(files.length).toBeGreaterThan(50);
  expect(own.length).toBeGreaterThan(200);
});

test("every folder is in the table", () => {
  expect([...new Set(files.map(folderOf))].filter((folder) => !(folder in allowed))).toEqual([]);
});

describe("a folder", () => {
  const across = own.filter(({ file, target }) => folderOf(file) !== folderOf(target));

  test("imports only what the table allows", () => {
    const breaches = across.filter(({ file, target, typesOnly }) => {
      const folder = folderOf(file);
      const list = [...(allowed[folder] ?? []), ...(typesOnly ? (allowedTypes[folder] ?? []) : [])];
      return !list.includes(folderOf(target));
    });
    expect(breaches).toEqual([]);
  });

  test("is reached through its index.ts", () => {
    expect(across.filter(({ target }) => folderOf(target) !== "gen" && !/^[\w-]+\/index\.ts$/.test(target))).toEqual(
      [],
    );
  });
});

test("imports, those of types included, form no cycle", () => {
  const edges = new Map<string, string[]>();
  for (const { file, target } of own) edges.set(file, [...(edges.get(file) ?? []), target]);
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): readonly string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const target of edges.get(file) ?? []) {
      const cycle = visit(target, [...path, file]);
      if (cycle) return cycle;
    }
    done.add(file);
    return undefined;
  };
  expect(files.map((file) => visit(file, [])).filter((cycle) => cycle !== undefined)).toEqual([]);
});

test("flagwire/gen has every file of our proto", () => {
  const exported = own.filter(({ file }) => file === "contract/index.ts").map(({ target }) => target);
  const generated = readdirSync(join(root, "gen/flagwire/v1")).map((name) => `gen/flagwire/v1/${name}`);
  expect(exported.sort()).toEqual(generated.sort());
});

test("what a library's user loads can be made CommonJS of, as jest's transformers do", () => {
  const onlyInModules = /\bimport\.meta\b|^(?:(?:export )?(?:const|let) .*= )?await\b/m;
  expect(files.filter((file) => folderOf(file) !== "cli" && onlyInModules.test(codeOf(file)))).toEqual([]);
});

test("there are no default exports", () => {
  expect(files.filter((file) => /\bexport\s+(default\b|\{[^}]*\bas default\b)/.test(codeOf(file)))).toEqual([]);
});

test("only index.ts re-exports", () => {
  const barrels = files.filter(
    (file) => !file.endsWith("index.ts") && /\bexport\s+(type\s+)?[*{][^;]*\bfrom\b/.test(codeOf(file)),
  );
  expect(barrels).toEqual([]);
});

test.each(Object.entries(homes))("%s is imported in its home only", (name, home) => {
  const users = imports.filter(({ target }) => target === name || target.startsWith(`${name}/`));
  expect(users.length).toBeGreaterThan(0);
  expect(users.filter(({ file }) => !home.test(file))).toEqual([]);
});

test.each(pure)("%s names no clock, chance, process or console", (folder) => {
  expect(files.filter((file) => folderOf(file) === folder && impure.test(codeOf(file)))).toEqual([]);
});

test("process.argv and process.env are read in the command line only", () => {
  const readers = files.filter((file) => /\bprocess\.(argv|env)\b/.test(codeOf(file)));
  expect(readers.filter((file) => folderOf(file) !== "cli")).toEqual([]);
});

test("hooks are registered by test files, for what these import is evaluated once for many of them", () => {
  const support = readdirSync(import.meta.dirname, { recursive: true, encoding: "utf8" }).filter(
    (name) => name.endsWith(".ts") && !name.endsWith(".test.ts"),
  );
  expect(support.length).toBeGreaterThan(50);
  const hook = /^(before|after)(Each|All)\(/m;
  expect(support.filter((name) => hook.test(readFileSync(join(import.meta.dirname, name), "utf8")))).toEqual([]);
});
