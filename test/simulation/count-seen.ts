import type { World } from "./world.js";

/** Counts what came of a run: one in which nothing happens shows nothing. */
export function countSeen(world: World): void {
  for (const { messages } of world.network.records) {
    world.count("streams");
    for (const { begin, heartbeat, goodbye } of messages) {
      world.count("messages");
      if (begin !== undefined) world.count(`updates: ${begin}`);
      if (heartbeat !== undefined) world.count("heartbeats");
      if (goodbye !== undefined) world.count("goodbyes");
    }
  }
  for (const { attempts } of world.writes) for (const { outcome } of attempts) world.count(`answers: ${outcome.kind}`);
  for (const { commits } of world.epochs) world.count("revisions", commits.length);
  world.count("evaluations", world.evaluations.length);
  for (const { sightings } of world.mirrorRecords) world.count("sightings of mirrors", sightings.length);
}
