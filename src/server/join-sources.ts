import type { Socket } from "node:net";
import { invariant } from "../base/index.js";
import { ListenProblem, type ServerAddress, type SocketSource } from "./listener.js";

/** Several sources as one. */
export interface JoinedSource extends SocketSource {
  /** Where each one is open, in their order. Empty until all are. */
  readonly addresses: readonly ServerAddress[];
}

/** Opens all of them or none. The first one's address is that of the whole. */
export function joinSources(sources: readonly [SocketSource, ...SocketSource[]]): JoinedSource {
  let addresses: readonly ServerAddress[] = [];
  return {
    get addresses() {
      return addresses;
    },
    async open(onConnection) {
      // As long as one can fail nothing is served: who comes early is turned away.
      let accept = (socket: Socket): void => void socket.destroy();
      const opened: ServerAddress[] = [];
      for (const source of sources) {
        const address = await source.open((socket) => accept(socket));
        if (address instanceof ListenProblem) {
          await closeAll(sources.slice(0, opened.length));
          return address;
        }
        opened.push(address);
      }
      const [first] = opened;
      invariant(first !== undefined, "there is at least one source");
      addresses = opened;
      accept = onConnection;
      return first;
    },
    close: () => closeAll(sources),
  };
}

async function closeAll(sources: readonly SocketSource[]): Promise<void> {
  await Promise.all(sources.map((source) => source.close()));
}
