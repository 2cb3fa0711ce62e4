import type { ChaosProxy, ProxyMode } from "../support/chaos-proxy.js";
import type { Chance } from "./chance.js";
import { pause } from "./pause.js";

/** Does to the connections through a proxy, in a random order, whatever can happen to them; in the end all is well again. */
export async function spoilConnections(proxy: ChaosProxy, chance: Chance, turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) {
    if (chance.happens(0.4)) proxy.cut(chance.happens(0.5) ? "reset" : "end");
    proxy.switchTo(chooseMode(chance));
    await pause(chance.between(50, 1_200));
    if (chance.happens(0.3)) proxy.switchTo({ kind: "pass" });
    await pause(chance.between(0, 300));
  }
  proxy.switchTo({ kind: "pass" });
  // What a buffer holds back, and what has been half-open for long, is let go.
  proxy.cut();
}

function chooseMode(chance: Chance): ProxyMode {
  return chance.oneOf<ProxyMode>([
    { kind: "pass" },
    { kind: "delay", delayMs: chance.between(1, 300) },
    { kind: "throttle", bytesPerSecond: chance.between(200, 20_000) },
    { kind: "stall" },
    { kind: "refuse" },
    { kind: "cut-after-bytes", sizeBytes: chance.between(1, 8_000) },
    { kind: "cut-after-time", afterMs: chance.between(1, 400) },
    { kind: "buffer", sizeBytes: chance.between(1_000, 32_000) },
  ]);
}
