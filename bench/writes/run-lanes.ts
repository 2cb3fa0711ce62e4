/** How much is done at a time, and for how long. */
export interface Lanes {
  readonly count: number;
  readonly durationMs: number;
}

/** In each lane one after the other, until the time is over. Returns how many a second were done, by the time that they took. */
export async function runLanes({ count, durationMs }: Lanes, act: (lane: number) => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  let done = 0;
  const run = async (lane: number): Promise<void> => {
    while (performance.now() - startedAt < durationMs) {
      await act(lane);
      done++;
    }
  };
  await Promise.all(Array.from({ length: count }, (_, lane) => run(lane)));
  return (done * 1000) / (performance.now() - startedAt);
}
