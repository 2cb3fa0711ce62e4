import type { Socket } from "node:net";

/** The connections that are open. */
export class Connections {
  readonly #sockets = new Set<Socket>();
  /** A client that comes by two addresses of ours may have the same of its own for both. */
  readonly #byPeer = new Map<string, readonly Socket[]>();
  #emptied: () => void = () => {};

  get size(): number {
    return this.#sockets.size;
  }

  add(socket: Socket): void {
    const peer = toPeer(socket);
    this.#sockets.add(socket);
    this.#byPeer.set(peer, [...this.of(peer), socket]);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      const others = this.of(peer).filter((other) => other !== socket);
      if (others.length > 0) this.#byPeer.set(peer, others);
      else this.#byPeer.delete(peer);
      if (this.size === 0) this.#emptied();
    });
  }

  /** Those of a client's address, as grpc-js's `getPeer` gives it. */
  of(peer: string): readonly Socket[] {
    return this.#byPeer.get(peer) ?? [];
  }

  /** Calls `action` whenever there is none; now, if there is none now. In the place of the action before. */
  whenEmpty(action: () => void): void {
    this.#emptied = action;
    if (this.size === 0) action();
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** The name that grpc-js's `getPeer` gives to a connection. */
function toPeer(socket: Socket): string {
  return `${socket.remoteAddress}:${socket.remotePort}`;
}
