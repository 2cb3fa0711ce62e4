import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openTestServer } from "../support/server.js";
import { problemOf, read, root } from "./deploy-support.js";
import { settingsFileProblem } from "./settings-file.js";

/** Instructions, with their lines joined and comments left out. */
const instructions = read("deploy/Dockerfile")
  .replace(/^#.*\n/gm, "")
  .replaceAll("\\\n", " ")
  .split("\n")
  .filter((line) => line.trim() !== "")
  .map((line) => {
    const [, name = "", rest = ""] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
    return { name, rest: rest.replace(/\s+/g, " ").trim() };
  });
const lastFrom = instructions.map(({ name }) => name).lastIndexOf("FROM");
const image = instructions.slice(lastFrom);
const only = (name: string) => {
  const found = image.filter((instruction) => instruction.name === name);
  expect(found.length, name).toBe(1);
  return found[0]?.rest ?? "";
};

describe("the image", () => {
  it("is of two stages on one base, and only the package goes into the second", () => {
    const stages = instructions.filter(({ name }) => name === "FROM").map(({ rest }) => rest);
    const base = "node:$" + "{NODE_VERSION}-bookworm-slim";
    expect(stages).toEqual([`${base} AS package`, base]);
    const copied = image.filter(({ name }) => name === "COPY").map(({ rest }) => rest);
    expect(copied).toEqual(["--from=package /app /app", "deploy/flagwire.yaml /etc/flagwire/flagwire.yaml"]);
  });

  it("holds a Node that the package allows", () => {
    const [, major, minor] = /^NODE_VERSION=(\d+)\.(\d+)\.\d+$/.exec(instructions[0]?.rest ?? "") ?? [];
    const { engines } = JSON.parse(read("package.json"));
    const [, wantedMajor, wantedMinor] = /^>=(\d+)\.(\d+)$/.exec(engines.node) ?? [];
    expect(Number(major) * 1000 + Number(minor)).toBeGreaterThanOrEqual(
      Number(wantedMajor) * 1000 + Number(wantedMinor),
    );
  });

  it("runs as a numbered user that is not root, from the instruction on that everything is in its place", () => {
    expect(only("USER")).toBe("1000:1000");
    const after = image.slice(image.findIndex(({ name }) => name === "USER")).map(({ name }) => name);
    expect(after.filter((name) => name === "RUN" || name === "COPY")).toEqual([]);
  });

  it("keeps its data in a volume that this user owns", () => {
    expect(only("VOLUME")).toBe("/data");
    expect(only("ENV")).toContain("FLAGWIRE_DATA=/data");
    expect(
      image.some(({ name, rest }) => name === "RUN" && rest === "install -d -o 1000 -g 1000 -m 0700 /data /backups"),
    ).toBe(true);
  });

  it("is stopped as the server drains", () => {
    expect(only("STOPSIGNAL")).toBe("SIGTERM");
  });

  it("takes files that exist, and that .dockerignore lets through", () => {
    const allowed = read(".dockerignore")
      .split("\n")
      .filter((line) => line.startsWith("!"))
      .map((line) => line.slice(1));
    const sources = instructions
      .filter(({ name, rest }) => name === "COPY" && !rest.startsWith("--from"))
      .flatMap(({ rest }) => rest.split(" ").slice(0, -1));
    expect([...sources].sort()).toEqual([...allowed].sort());
    for (const path of sources) expect(existsSync(join(root, path)), path).toBe(true);
  });

  it("has what --otlp needs, which lies in one folder", () => {
    const copied = instructions.filter(({ name, rest }) => name === "RUN" && rest.startsWith("cp -R"));
    expect(copied.map(({ rest }) => rest.split(" && ")[0])).toEqual([
      "cp -R node_modules/@opentelemetry /app/node_modules/",
    ]);
    const { packages } = JSON.parse(read("package-lock.json"));
    const names = Object.keys(packages).filter((path) => path.startsWith("node_modules/@opentelemetry/"));
    expect(names).toContain("node_modules/@opentelemetry/exporter-trace-otlp-http");
    const needed = names.flatMap((path) => Object.keys(packages[path].dependencies ?? {}));
    expect(needed.filter((name) => !names.includes(`node_modules/${name}`))).toEqual([]);
  });

  it("has no secret, not even as an argument", () => {
    const args = instructions.filter(({ name }) => name === "ARG" || name === "ENV").map(({ rest }) => rest);
    expect(args.join(" ")).not.toMatch(/token|secret|password|npmrc|key/i);
    expect(read(".dockerignore")).toMatch(/^\*$/m);
  });

  it("starts the program with a command and settings that it knows", async () => {
    const [node, program, ...rest] = JSON.parse(only("ENTRYPOINT"));
    expect([node, rest]).toEqual(["node", []]);
    expect(`/app/${JSON.parse(read("package.json")).bin.flagwire}`).toBe(program);
    expect(await problemOf(JSON.parse(only("CMD")))).toBeUndefined();
    expect(only("ENV")).toContain("FLAGWIRE_CONFIG=/etc/flagwire/flagwire.yaml");
    expect(await settingsFileProblem(read("deploy/flagwire.yaml"))).toBe("");
  });

  it("is healthy as long as the server is ready", async () => {
    const [, command = ""] = /CMD (\[.*\])$/.exec(only("HEALTHCHECK")) ?? [];
    const [, ...argv] = JSON.parse(command);
    expect(argv[1]).toContain("http://127.0.0.1:8013/readyz");
    const server = await openTestServer();
    const check = () =>
      new Promise((resolve) => {
        const env = { ...process.env, HEALTH_URL: `http://${server.address}/readyz` };
        execFile(process.execPath, argv, { env }).once("exit", resolve);
      });
    expect(await check()).toBe(0);
    await server[Symbol.asyncDispose]();
    expect(await check()).toBe(1);
  });
});
