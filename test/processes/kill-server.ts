import { pause } from "./pause.js";
import type { Run } from "./run.js";

/** Kills the server at random moments of its writing, and starts it again on the same directory. */
export async function killServer(run: Run, kills: number): Promise<void> {
  for (let kill = 0; kill < kills; kill++) {
    await run.acknowledgedMore(run.chance.between(1, 60));
    await pause(run.chance.between(0, 15));
    await run.server.kill();
    await run.server.start();
  }
}
