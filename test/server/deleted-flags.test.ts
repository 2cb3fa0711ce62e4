import { beforeEach, describe, expect, it } from "vitest";
import { booleanFlag, invalid, openServer, type RestartableServer, refusalOf } from "./admin-support.js";

let server: RestartableServer;
beforeEach(async () => {
  server = await openServer();
});

async function deleteFlags(...keys: string[]): Promise<bigint[]> {
  const revisions: bigint[] = [];
  for (const key of keys) {
    await server.admin.createFlag({ flag: booleanFlag(key) });
    revisions.push((await server.admin.deleteFlag({ key }, { headers: { "flagwire-author": "ada" } })).revision);
  }
  return revisions;
}
const keysOf = ({ reservedKeys }: { readonly reservedKeys: readonly { readonly key: string }[] }) =>
  reservedKeys.map(({ key }) => key);

describe("deleted flags", () => {
  it("are listed by their keys, with who deleted them and when", async () => {
    await server.admin.createFlag({ flag: booleanFlag("kept") });
    const [b, a] = await deleteFlags("b", "a");
    const { reservedKeys, nextPageToken, revision } = await server.admin.listDeletedFlags({});
    expect(reservedKeys).toMatchObject([
      { key: "a", deletedBy: "ada", revision: a },
      { key: "b", deletedBy: "ada", revision: b },
    ]);
    expect(reservedKeys[0]?.deletedAt).toBeDefined();
    expect([nextPageToken, revision]).toEqual(["", a]);
    await server.restart();
    expect(keysOf(await server.admin.listDeletedFlags({}))).toEqual(["a", "b"]);
  });

  it("come in pages", async () => {
    await deleteFlags("a", "b", "c");
    const first = await server.admin.listDeletedFlags({ pageSize: 2 });
    expect([keysOf(first), first.nextPageToken]).toEqual([["a", "b"], "b"]);
    const last = await server.admin.listDeletedFlags({ pageSize: 2, pageToken: first.nextPageToken });
    expect([keysOf(last), last.nextPageToken]).toEqual([["c"], ""]);
    const { code, fields } = await refusalOf(server.admin.listDeletedFlags({ pageSize: 1_001 }));
    expect([code, fields]).toEqual(["InvalidArgument", invalid("page_size").fields]);
  });

  it("are there no longer when they are back, or another flag has the key", async () => {
    const [a = 0n] = await deleteFlags("a", "b");
    await server.admin.rollback({ flagKey: "a", toRevision: a - 1n });
    expect(keysOf(await server.admin.listDeletedFlags({}))).toEqual(["b"]);
    await server.admin.createFlag({ flag: booleanFlag("b"), force: true });
    expect(keysOf(await server.admin.listDeletedFlags({}))).toEqual([]);
  });
});
