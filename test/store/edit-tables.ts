import { type Database, open } from "lmdb";

/** A database inside the file, with text keys. */
export interface EditedTable {
  put(key: string | Uint8Array, value: Uint8Array): void;
  remove(key: string | Uint8Array): void;
}

const NAMES = ["meta", "records", "history", "idempotency", "idempotency-order", "deletions", "other"] as const;

/** Changes a data directory behind the store's back. `other` is a database that is not the store's. */
export async function editTables(
  path: string,
  edit: (tables: { readonly [K in (typeof NAMES)[number]]: EditedTable }) => void,
): Promise<void> {
  const binary = { encoding: "binary", keyEncoding: "binary" } as const;
  const root = open({ path, noSubdir: false, overlappingSync: false, eventTurnBatching: false, maxDbs: 16, ...binary });
  const opened = new Map<string, Database<Uint8Array, Uint8Array>>();
  const table = (name: string): EditedTable => {
    const database = () => {
      const known = opened.get(name) ?? root.openDB<Uint8Array, Uint8Array>(name, binary);
      opened.set(name, known);
      return known;
    };
    return {
      put: (key, value) => database().putSync(Buffer.from(key), value),
      remove: (key) => void database().removeSync(Buffer.from(key)),
    };
  };
  edit(Object.fromEntries(NAMES.map((name) => [name, table(name)])) as { [K in (typeof NAMES)[number]]: EditedTable });
  await root.close();
}
