import { open, type RootDatabase } from "lmdb";

/** Durable before it resolves, as a commit of the store is. */
const asInTheStore = { encoding: "binary", noSubdir: false, overlappingSync: false, eventTurnBatching: false } as const;

/** A bare database with the store's options. */
export function openBareLmdb(path: string): RootDatabase<Uint8Array, number> {
  return open<Uint8Array, number>({ path, ...asInTheStore });
}
