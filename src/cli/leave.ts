import type { Logger } from "pino";
import type { Clock } from "../base/index.js";
import type { ServeOptions } from "./serve-options.js";

/** What can be told to report that it is not ready. */
interface Leaving {
  retire(): void;
}

/**
 * What goes before draining: while balancers may still send callers here, they are answered, and told by its health to send no
 * more. Resolves when it is time to drain.
 */
export async function leave(
  service: Leaving,
  { drainDelayMs }: Pick<ServeOptions, "drainDelayMs">,
  clock: Clock,
  log: Logger,
): Promise<void> {
  if (drainDelayMs > 0) {
    service.retire();
    log.info({ drainDelayMs }, "not ready any more; draining after the delay");
    await new Promise<void>((resolve) => void clock.after(drainDelayMs, resolve));
  }
  log.info("draining");
}
