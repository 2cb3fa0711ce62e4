/** Nothing new goes to a worker that has been silent for so long, and nobody waits for it. */
export const SILENT_MS = 3_000;
