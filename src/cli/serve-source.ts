import type { Logger } from "pino";
import { createTcpSource, type JoinedSource, joinSources } from "../server/index.js";
import type { ServeOptions } from "./serve-options.js";
import type { FlagdAddresses } from "./serve-welcome.js";

/** The ports of a service. `pauseOnConnect`: see TcpSourceOptions. */
export function createServeSource(
  { listen, flagdPorts }: ServeOptions,
  options: { readonly log: Logger; readonly pauseOnConnect: boolean },
): JoinedSource {
  const { host, port } = listen;
  const main = createTcpSource({ ...options, host, port });
  if (flagdPorts === undefined) return joinSources([main]);
  const others = [flagdPorts.sync, flagdPorts.ofrep].map((port) => createTcpSource({ ...options, host, port }));
  return joinSources([main, ...others]);
}

/** Where the ports for flagd's clients are; undefined where there are none, or not yet. */
export function flagdAddressesOf({ addresses }: JoinedSource): FlagdAddresses | undefined {
  const [, sync, ofrep] = addresses;
  return sync === undefined || ofrep === undefined ? undefined : { sync, ofrep };
}
