import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { AdminService, type ChangeSegmentKeysRequest } from "../../gen/flagwire/v1/admin_service_pb.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { openFakeServer } from "./fake-server.js";
import { type CliRun, type RunOptions, runFlagwire } from "./run-flagwire.js";

let server: TestServer;
let directory = "";
let segment = "";
let segments = 0;

beforeAll(async () => {
  server = await openTestServer();
  directory = await mkdtemp(join(tmpdir(), "flagwire-cli-"));
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

beforeEach(async () => {
  segment = `s${++segments}`;
  await server.admin.createSegment({ segment: { key: segment, included: ["a", "b"], excluded: ["x"] } });
});

/** `segments add` or `segments remove`, of the segment that each test has to itself. */
function change(verb: "add" | "remove", argv: readonly string[], options: RunOptions = {}): Promise<CliRun> {
  return runFlagwire(["segments", verb, segment, ...argv], { ...options, env: { FLAGWIRE_ADDRESS: server.address } });
}

async function file(text: string): Promise<string> {
  const path = join(directory, "keys.txt");
  await writeFile(path, text);
  return `@${path}`;
}

const kept = async () => (await server.admin.getSegment({ key: segment })).segment;

describe("a change of a segment's keys", () => {
  it("says how many keys were added, and how many were there already", async () => {
    const added = await change("add", ["--included", "b, c,d", "--excluded", "y"]);
    expect(added).toMatchObject({ exitCode: 0, stderr: "" });
    expect(added.stdout).toMatch(
      /^segment s\d+ of production: 2 keys added to included \(1 there already\), 1 key added to excluded; now 4 included, 2 excluded \(revision \d+\)\n$/,
    );
    expect(await kept()).toMatchObject({ included: ["a", "b", "c", "d"], excluded: ["x", "y"] });
  });

  it("says how many keys were removed, and how many were not there", async () => {
    const { stdout } = await change("remove", ["--included", "a,never,nobody"]);
    expect(stdout).toMatch(
      /: 1 key removed from included \(2 not there\); now 1 included, 1 excluded \(revision \d+\)\n$/,
    );
  });

  it.each([
    ["add", ["--included", "b,a", "--excluded", "x"], "included has all 2 keys already, excluded has the key already"],
    ["remove", ["--included", "y,z"], "included has none of the 2 keys"],
    ["remove", ["--excluded", "z"], "excluded does not have the key"],
  ] as const)("that changes nothing is said to be unchanged: %s %j", async (verb, argv, why) => {
    const { revision } = await server.admin.getSegment({ key: segment });
    expect((await change(verb, argv)).stdout).toBe(
      `segment ${segment} of production: unchanged (${why}); 2 included, 1 excluded (revision ${revision})\n`,
    );
  });

  it("that is only tried says the same", async () => {
    const { stdout } = await change("add", ["--included", "a,c", "--dry-run"]);
    expect(stdout).toContain(
      ": 1 key added to included (1 there already); now 3 included, 1 excluded (dry run: nothing was changed)\n",
    );
  });

  it("tells its counts in JSON too", async () => {
    const { stdout } = await change("remove", ["--included", "a,never", "--excluded", "x", "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({
      segment: { included: ["b"], excluded: [] },
      changed: { addedIncluded: 0, removedIncluded: 1, addedExcluded: 0, removedExcluded: 1 },
    });
  });
});

describe("keys of a segment", () => {
  it.each([
    ["nothing", [], "which keys? Give --included, --excluded or both"],
    ["an empty list", ["--included", ""], "--included is empty"],
    ["a blank list", ["--excluded", " "], "--excluded is empty"],
    ["two commas in a row", ["--included", "a,,b"], "--included has an empty key"],
    ["a comma at the end", ["--excluded", "a,"], "--excluded has an empty key"],
    ["a key in both lists", ["--included", "a,b", "--excluded", "c,b"], '--included and --excluded both have "b"'],
    ["a file that is not there", ["--included", "@/nowhere"], "--included file cannot be read"],
    ["a folder", ["--included", "@/"], "--included file cannot be read"],
  ])("cannot be %s", async (_what, argv, message) => {
    for (const verb of ["add", "remove"] as const) {
      const { exitCode, stdout, stderr } = await change(verb, argv);
      expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
      expect(stderr).toContain(message);
      expect(stderr).toMatch(/^flagwire: [^\n]+\n$/);
    }
  });

  it.each(["", "\n\n", "\ufeff", " \r\n"])("cannot be a file without any: %j", async (text) => {
    const { exitCode, stderr } = await change("add", ["--included", await file(text)]);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/^flagwire: --included file .* has no keys; write one in each line\n$/);
  });

  it("are the same from a list and from a file: blanks around them do not count, nor do a BOM and empty lines", async () => {
    await change("add", ["--included", " c ,d\t"]);
    await change("add", ["--excluded", await file("\ufeff e \r\n\n\tf,1\ng")]);
    expect(await kept()).toMatchObject({ included: ["a", "b", "c", "d"], excluded: ["x", "e", "f,1", "g"] });
  });

  it("may come from standard input", async () => {
    await change("add", ["--included", "@-"], { stdin: "c\nd\n" });
    expect(await kept()).toMatchObject({ included: ["a", "b", "c", "d"] });
  });

  it("count once each, however often they are given", async () => {
    expect((await change("add", ["--included", "c,c,a,a"])).stdout).toContain("1 key added to included (1 there");
  });

  it("are told by --help with how they are read", async () => {
    const { stdout } = await change("add", ["--help"]);
    expect(stdout).toContain("Blanks around a key do not count");
  });
});

describe("keys that do not fit one request", () => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => `${"k".repeat(1_000)}-${index}`);

  it("go in several, each with a revision of its own, which is said", async () => {
    const keys = await file(many(6_500).join("\n"));
    const { revision } = await server.admin.getSegment({ key: segment });
    const { exitCode, stdout, stderr } = await change("add", ["--included", keys, "--excluded", "y"]);
    expect(exitCode).toBe(0);
    expect(stderr).toBe("flagwire: 6501 keys go in 3 requests, each with a revision of its own\n");
    const revisions = [1n, 2n, 3n].map((step) => revision + step).join(", ");
    expect(stdout).toBe(
      `segment ${segment} of production: 6500 keys added to included, 1 key added to excluded; now 6502 included, 2 excluded (revisions ${revisions})\n`,
    );
    expect(await kept()).toMatchObject({ includedCount: 6_502, excludedCount: 2 });
    const removed = await change("remove", ["--included", keys, "--json"]);
    expect(JSON.parse(removed.stdout)).toMatchObject({
      segment: { included: ["a", "b"], excluded: ["x", "y"] },
      changed: { removedIncluded: 6_500 },
      revision: String(revision + 6n),
    });
  });

  it("are added up by a dry run, which makes none", async () => {
    const keys = await file(["a", ...many(6_500)].join("\n"));
    const { stdout, stderr } = await change("add", ["--included", keys, "--dry-run"]);
    expect(stderr).toContain("6501 keys would go in 3 requests");
    expect(stdout).toContain(
      ": 6500 keys added to included (1 there already); now 6502 included, 1 excluded (dry run: nothing was changed)",
    );
    const { segment: shown } = JSON.parse((await change("add", ["--included", keys, "--dry-run", "--json"])).stdout);
    expect(shown).toMatchObject({ includedCount: 6_502, excludedCount: 1, keysOmitted: true, included: [] });
    expect(await kept()).toMatchObject({ includedCount: 2 });
  });

  it("follow on each other where an expected revision is given", async () => {
    const requests: ChangeSegmentKeysRequest[] = [];
    await using fake = await openFakeServer((router) =>
      router.service(AdminService, {
        listEnvironments: () => ({}),
        changeSegmentKeys(request) {
          requests.push(request);
          return { revision: 20n + BigInt(requests.length) };
        },
      }),
    );
    const keys = await file(many(6_500).join("\n"));
    await change("add", ["--included", keys, "--expected-revision", "7", "--address", fake.address]);
    expect(requests.map(({ expectedRevision }) => expectedRevision)).toEqual([7n, 21n, 22n]);
    expect(new Set(requests.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(3);
    expect(requests.flatMap(({ addIncluded }) => addIncluded)).toEqual(many(6_500));
  });

  it("are told of that were added before one was refused", async () => {
    let calls = 0;
    await using fake = await openFakeServer((router) =>
      router.service(AdminService, {
        listEnvironments: () => ({}),
        changeSegmentKeys() {
          if (++calls === 3) throw new ConnectError("the disk is full", Code.ResourceExhausted);
          return { revision: 20n + BigInt(calls) };
        },
      }),
    );
    const keys = await file(many(6_500).join("\n"));
    const { exitCode, stdout, stderr } = await change("add", ["--included", keys, "--address", fake.address]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: "" });
    expect(stderr.split("\n").slice(1)).toEqual([
      "flagwire: 2 of 3 requests were done, the last at revision 22; the same command again does the rest",
      "flagwire: the disk is full",
      "",
    ]);
  });
});
