import { type Mirror, openMirror } from "../../src/client/index.js";
import { type Memory, readMemory } from "./memory.js";
import { monotonicMs } from "./monotonic.js";

/** What a mirror in a process of its own is asked for; one at a time. */
export type MirrorOrder =
  /** Opens the mirror: answered by `MirrorOpened`. */
  | { readonly kind: "open"; readonly address: string }
  /** From now on a `MirrorAnswer` is sent whenever the flag may answer differently. */
  | { readonly kind: "follow"; readonly flagKey: string };

export interface MirrorOpened {
  /** From the call of `openMirror` until it resolved, in milliseconds. */
  readonly openMs: number;
  readonly flags: number;
  readonly before: Memory;
  readonly after: Memory;
}

export interface MirrorAnswer {
  readonly revision: number;
  readonly value: boolean;
  /** When the mirror gave this answer, by the system's monotonic clock, in milliseconds. See `monotonicMs`. */
  readonly atMs: number;
}

let mirror: Mirror | undefined;

async function open(address: string): Promise<MirrorOpened> {
  const before = readMemory();
  const startedAt = performance.now();
  mirror = await openMirror({ address });
  const openMs = performance.now() - startedAt;
  return { openMs, flags: mirror.keys().length, before, after: readMemory() };
}

function follow(flagKey: string): void {
  const current = mirror;
  current?.on("change", ({ keys, revision }) => {
    if (!keys.includes(flagKey)) return;
    const value = current.boolean(flagKey, false);
    const answer: MirrorAnswer = { revision, value, atMs: monotonicMs() };
    process.send?.(answer);
  });
}

process.once("disconnect", () => process.exit());
process.on("message", (order: MirrorOrder) => {
  if (order.kind === "follow") {
    follow(order.flagKey);
    process.send?.("following");
  } else {
    void open(order.address).then((opened) => process.send?.(opened));
  }
});
process.send?.("started");
