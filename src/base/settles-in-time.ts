import type { Clock } from "./clock.js";

/**
 * Waits for work that must not keep a program from ending. Whether it settled, well or not, within `timeoutMs`; what then still
 * becomes of it is ignored. Never rejects.
 */
export function settlesInTime(work: Promise<unknown>, timeoutMs: number, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const stopTimer = clock.after(timeoutMs, () => resolve(false));
    const settled = (): void => {
      stopTimer();
      resolve(true);
    };
    work.then(settled, settled);
  });
}
