import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { backUpStore, restoreStore } from "../../src/store/index.js";
import { openTestServer } from "../support/server.js";

const withToken = (bearer: string) => ({ headers: { authorization: `Bearer ${bearer}` } });

test("a backup that is restored brings back the tokens of its time, and they can be revoked again", async () => {
  const folder = await mkdtemp(join(tmpdir(), "flagwire-restored-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const [path, backup] = [join(folder, "data"), join(folder, "backup")];
  const before = await openTestServer({ path });
  const { bearer } = await before.admin.createToken({ token: { name: "root", role: Role.ADMIN } });
  const root = withToken(bearer);
  const leaked = await before.admin.createToken({ token: { name: "ci", role: Role.EDITOR } }, root);
  const revoked = { id: leaked.token?.id ?? "" };
  expect(await backUpStore({ from: path, to: backup })).toMatchObject({ problems: [] });
  await before.admin.revokeToken(revoked, root);
  const late = await before.admin.createToken({ token: { name: "late", role: Role.READER } }, root);
  await before.stop();

  expect(await restoreStore({ from: backup, path, replace: true })).toMatchObject({ source: { problems: [] } });
  const after = await openTestServer({ path });
  onTestFinished(() => after.stop());
  const list = (token: string) => after.admin.listFlags({}, withToken(token));
  expect((await list(leaked.bearer)).flags).toEqual([]);
  await expect(list(late.bearer)).rejects.toThrow("unknown, expired or revoked");
  const { tokens } = await after.admin.listTokens({}, root);
  expect(tokens.map(({ name }) => name).sort()).toEqual(["ci", "root"]);
  await after.admin.revokeToken(revoked, root);
  await expect(list(leaked.bearer)).rejects.toThrow("unknown, expired or revoked");
});
