import type { Socket } from "node:net";
import type { ServerAddress, SocketSource } from "../server/index.js";

/** The connections that a supervisor hands to this process. */
export class HandedSockets implements SocketSource {
  readonly #address: ServerAddress;
  readonly #open = new Set<Socket>();
  #onConnection: ((socket: Socket) => void) | undefined;
  #onEmpty: () => void = () => undefined;

  constructor(address: ServerAddress) {
    this.#address = address;
  }

  /** How many are open. */
  get size(): number {
    return this.#open.size;
  }

  async open(onConnection: (socket: Socket) => void): Promise<ServerAddress> {
    this.#onConnection = onConnection;
    return this.#address;
  }

  /** Serves a connection; one that is lost or already gone is let go of. */
  add(socket: Socket): void {
    // Without an address it was closed by its client on the way.
    if (this.#onConnection === undefined || socket.remoteAddress === undefined) return void socket.destroy();
    this.#open.add(socket);
    socket.once("close", () => {
      this.#open.delete(socket);
      if (this.#open.size === 0) this.#onEmpty();
    });
    // Known to the operating system since it was accepted, but not to this object, which others ask.
    socket.setNoDelay(true);
    this.#onConnection(socket);
  }

  async close(): Promise<void> {
    this.#onConnection = undefined;
    if (this.#open.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
  }
}
