/** A function that warns of an error by a warning of the process, the first time only. It never throws. */
export function createWarnOnce(toMessage: (reason: string) => string): (error: unknown) => void {
  let isWarned = false;
  return (error) => {
    if (isWarned) return;
    isWarned = true;
    try {
      process.emitWarning(toMessage(error instanceof Error ? error.message : String(error)), "Flagwire");
    } catch {}
  };
}
