import { printable } from "../base/index.js";
import type { Call } from "./handlers.js";
import type { TransportOptions } from "./transport.js";

/** Whose call it is. */
export type Client = Pick<Call, "peer" | "clientName">;

/** Counts and logs a client that did not read and was cut off. */
export function reportStalled(client: Client, method: string, { log, limits, onStalled }: TransportOptions): void {
  const { peer, clientName } = client;
  const name = clientName === undefined ? {} : { clientName: printable(clientName) };
  const { stallTimeoutMs } = limits;
  log.warn({ peer, ...name, method, stallTimeoutMs }, "cut off a client that did not read");
  onStalled();
}
