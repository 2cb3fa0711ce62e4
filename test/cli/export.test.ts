import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { openFakeServer } from "./fake-server.js";
import { runFlagwire } from "./run-flagwire.js";

it("an export that is sent keys of no segment fails, and writes nothing", async () => {
  const folder = await mkdtemp(join(tmpdir(), "flagwire-export-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await using server = await openFakeServer((router) =>
    router.service(AdminService, {
      listEnvironments: () => ({}),
      async *export() {
        yield { file: { segments: [{ key: "s", environment: "production" }] }, revision: 7n };
        yield { file: { segmentKeys: [{ segmentKey: "s", environment: "staging", included: ["u"] }] }, revision: 7n };
      },
    }),
  );
  const run = await runFlagwire(["export", "-o", join(folder, "flags.yaml"), "--address", server.address]);
  expect(run).toMatchObject({ exitCode: 3, stdout: "" });
  expect(run.stderr).toContain('keys of segment "s" of staging, but not the segment; nothing was written');
  expect(await readdir(folder)).toEqual([]);
});
