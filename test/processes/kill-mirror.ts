import { existsSync } from "node:fs";
import { join } from "node:path";
import type { ChaosProxy } from "../support/chaos-proxy.js";
import { pause } from "./pause.js";
import type { Run } from "./run.js";

/** What became of the mirrors that were killed. */
export interface MirrorKills {
  kills: number;
  /** How many were opened from the cache, while the server was out of reach. */
  fromCache: number;
  /** What they had to say against the cache. */
  readonly complaints: string[];
}

/**
 * Kills a mirror at random moments, most often while it writes its cache, which it does all the time, and opens the next one
 * on the same file: sometimes while the server, which is behind the proxy, cannot be reached.
 */
export async function killMirrors(run: Run, proxy: ChaosProxy, kills: number): Promise<MirrorKills> {
  const cache = join(run.directory, "mirror.cache");
  const settings = { cache, cacheDelayMs: 0, address: proxy.address, backoff: { minMs: 20, maxMs: 200 } };
  const outcome: MirrorKills = { kills: 0, fromCache: 0, complaints: [] };
  while (outcome.kills < kills) {
    const isAway = existsSync(cache) && run.chance.happens(0.4);
    proxy.switchTo({ kind: isAway ? "refuse" : "pass" });
    const mirror = await run.mirror(settings);
    if (isAway && mirror.counts.fulls === 0 && mirror.revision > 0) outcome.fromCache++;
    proxy.switchTo({ kind: "pass" });
    await pause(run.chance.between(0, 250));
    await mirror.child.kill();
    outcome.kills++;
    outcome.complaints.push(...mirror.logs.filter((text) => text.includes("cache")));
  }
  return outcome;
}
