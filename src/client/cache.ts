/**
 * Where a mirror keeps its last snapshot between runs. What `load` returns is what `save` was given, byte for byte, or it
 * throws: a torn or foreign file must not look like a snapshot.
 */
export interface MirrorCache {
  /** The last snapshot kept, undefined where there is none. */
  load(): Promise<Uint8Array | undefined>;
  /** Replaces what is kept, whole or not at all. Never called while another call is pending. */
  save(bytes: Uint8Array): Promise<void>;
}
