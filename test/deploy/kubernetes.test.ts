import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { type Build, buildProgram } from "../support/build-program.js";
import { openTestServer } from "../support/server.js";
import { commandsIn, problemOf, read } from "./deploy-support.js";
import { settingsFileProblem } from "./settings-file.js";

interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args: readonly string[];
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  readonly securityContext: unknown;
  readonly startupProbe?: { readonly httpGet: { readonly path: string } };
  readonly livenessProbe?: { readonly httpGet: { readonly path: string } };
  readonly readinessProbe?: { readonly httpGet: { readonly path: string } };
  readonly lifecycle?: { readonly preStop: { readonly exec: { readonly command: readonly string[] } } };
}

const documents = parseAllDocuments(read("deploy/kubernetes.yaml")).map((document) => {
  if ("errors" in document && document.errors.length > 0) throw document.errors[0];
  return document.toJS();
});
const ofKind = (kind: string) => documents.find((document) => document.kind === kind);
const set = ofKind("StatefulSet").spec;
const pod = set.template.spec;
const containers: readonly Container[] = [...pod.initContainers, ...pod.containers];
const named = (name: string): Container => {
  const found = containers.find((container) => container.name === name);
  if (found === undefined) throw new Error(`no container ${name}`);
  return found;
};
const server = named("flagwire");
const image = read("deploy/Dockerfile");

it("there are settings, a service, and one owner of the data", () => {
  expect(documents.map(({ kind }) => kind)).toEqual(["ConfigMap", "Service", "StatefulSet"]);
  expect(set.replicas).toBe(1);
});

describe("the pod", () => {
  it("may do nothing that the server does not need", () => {
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000 });
    expect(image).toContain("USER 1000:1000");
    for (const { name, securityContext } of containers) {
      expect(securityContext, name).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
    }
    expect(pod.automountServiceAccountToken).toBe(false);
  });

  it("is not given variables that look like settings of ours, and shares process ids", () => {
    expect(pod).toMatchObject({ enableServiceLinks: false, shareProcessNamespace: true });
  });

  it("has longer to end than it takes at most", () => {
    const [, pause] = server.lifecycle?.preStop.exec.command ?? [];
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(Number(pause) + 12);
  });

  it("mounts volumes that there are", () => {
    const volumes = [...pod.volumes, ...set.volumeClaimTemplates.map(({ metadata }: { metadata: object }) => metadata)];
    const names = volumes.map(({ name }) => name);
    for (const { volumeMounts } of containers) for (const { name } of volumeMounts) expect(names).toContain(name);
    for (const { volumeMounts } of containers) {
      expect(volumeMounts.find(({ mountPath }) => mountPath === "/data")?.name).toBe("data");
    }
    expect(image).toContain("FLAGWIRE_DATA=/data");
  });

  it("runs commands that the program knows, with settings that it takes", async () => {
    const scripts = [named("first-token"), named("backup")].map(({ args }) => args.join("\n"));
    const commands = [server.args, ...scripts.flatMap((script) => commandsIn(script))];
    expect(commands.map(([command]) => command)).toEqual(["serve", "token", "backup"]);
    for (const command of commands) expect(await problemOf(command)).toBeUndefined();
    const config = ofKind("ConfigMap").data["flagwire.yaml"];
    expect(await settingsFileProblem(config)).toBe("");
    expect(config).toContain("listen: 0.0.0.0:8013");
    expect(server.args[2]).toBe("/etc/flagwire/flagwire.yaml");
  });

  it("is probed at paths that the server answers, on the port of the service", async () => {
    await using running = await openTestServer();
    const probes = [server.startupProbe, server.livenessProbe, server.readinessProbe];
    const paths = probes.map((probe) => probe?.httpGet.path);
    expect(paths).toEqual(["/healthz", "/healthz", "/readyz"]);
    for (const path of paths) expect((await fetch(`http://${running.address}${path}`)).status).toBe(200);
    expect(ofKind("Service").spec).toMatchObject({
      selector: set.selector.matchLabels,
      ports: [{ port: 8013, targetPort: "flagwire" }],
    });
  });
});

it("the job that restores has the pod's volumes, and may do no more than the server", async () => {
  const job = parse(read("deploy/kubernetes-restore.yaml")).spec.template.spec;
  const [container] = job.containers;
  expect(await problemOf(container.args)).toBeUndefined();
  expect(container.args.slice(2)).toEqual(["--data", "/data", "--replace"]);
  expect(container.image).toBe(server.image);
  const claims = job.volumes.map(
    (volume: { persistentVolumeClaim: { claimName: string } }) => volume.persistentVolumeClaim,
  );
  const templates = set.volumeClaimTemplates.map(({ metadata }: { metadata: { name: string } }) => metadata.name);
  expect(claims).toEqual(
    templates.map((name: string) => ({ claimName: `${name}-${ofKind("StatefulSet").metadata.name}-0` })),
  );
  expect(container.volumeMounts).toEqual(named("backup").volumeMounts);
  expect(container.securityContext).toEqual(server.securityContext);
  expect(job.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000 });
});

describe("its scripts", () => {
  let build: Build;
  let directory = "";
  beforeAll(async () => {
    build = await buildProgram("src/cli");
    directory = await mkdtemp(join(tmpdir(), "flagwire-pod-"));
    for (const name of ["bin", "data", "bootstrap", "backups"]) await mkdir(join(directory, name));
    const program = join(directory, "bin/flagwire");
    await writeFile(program, `#!/bin/sh\nexec ${process.execPath} ${build.compiled("src/cli/main.ts")} "$@"\n`);
    await chmod(program, 0o755);
  }, 60_000);
  afterAll(async () => {
    await build.remove();
    await rm(directory, { recursive: true });
  });

  const run = (script: string) => {
    const here = script.replaceAll(/(?<=[\s"])\/(?=data|bootstrap|backups)/g, `${directory}/`);
    const env = { ...process.env, PATH: `${join(directory, "bin")}:${process.env.PATH}` };
    execFileSync("sh", ["-c", here], { env, stdio: "pipe" });
  };
  const tokenFile = () => readFile(join(directory, "bootstrap/admin-token"), "utf8");

  it("make the first token once, where only the server's user can read it", async () => {
    const script = named("first-token").args.join("\n");
    run(script);
    const token = await tokenFile();
    expect(token).toMatch(/^fw_\S+\n$/);
    expect((await stat(join(directory, "bootstrap/admin-token"))).mode & 0o777).toBe(0o600);
    run(script);
    expect(await tokenFile()).toBe(token);
    await using running = await openTestServer({ path: join(directory, "data") });
    const authorization = `Bearer ${token.trim()}`;
    const list = await running.json("flagwire.v1.AdminService/ListTokens", {}, { authorization });
    expect(list).toMatchObject({ status: 200, body: { tokens: [{ name: "admin", role: "ROLE_ADMIN" }] } });
    expect((await running.json("flagwire.v1.AdminService/ListTokens", {})).status).toBe(401);
  });

  it("back up, and remove what is older than two weeks and a backup", async () => {
    const script = named("backup").args.join("\n");
    const once = script.replace('sleep "$pause" & wait $!', 'test "$pause" = 86400 || exit 9; exit 0');
    expect(once).not.toBe(script);
    const old = join(directory, "backups/2026-01-01T000000Z");
    const foreign = join(directory, "backups/lost+found");
    const longAgo = Date.now() / 1_000 - 15 * 86_400;
    for (const path of [old, foreign]) {
      await mkdir(path);
      await utimes(path, longAgo, longAgo);
    }
    run(once);
    const names = await readdir(join(directory, "backups"));
    expect(names.sort()).toEqual([expect.stringMatching(/^20\d\d-\d\d-\d\dT\d{6}Z$/), "lost+found"]);
  });
});
