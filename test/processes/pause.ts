/** Resolves after that time, or as soon as the signal aborts. */
export async function pause(timeMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return;
  await new Promise<void>((done) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      done();
    };
    const timer = setTimeout(end, timeMs);
    signal?.addEventListener("abort", end);
  });
}

/** Waits until a condition holds; rejects, naming it, when it has not for that long. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`it did not come to this in ${timeoutMs} ms: ${what}`);
    await pause(3);
  }
}
