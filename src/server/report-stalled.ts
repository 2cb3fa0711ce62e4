import { printable } from "../base/index.js";
import type { Call } from "./handlers.js";
import type { TransportOptions } from "./transport.js";

/** Whose call it is. */
export type Client = Pick<Call, "peer" | "clientName"> & {
  /** See requestIdOf. */
  readonly requestId?: string | undefined;
};

/** Counts and logs a client that did not read and was cut off. */
export function reportStalled(client: Client, method: string, { log, limits, onStalled }: TransportOptions): void {
  const { peer, clientName, requestId } = client;
  const name = clientName === undefined ? {} : { clientName: printable(clientName) };
  const { stallTimeoutMs } = limits;
  log.warn({ peer, ...name, method, requestId, stallTimeoutMs }, "cut off a client that did not read");
  onStalled();
}
