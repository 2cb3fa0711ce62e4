import type { Socket } from "node:net";

/** More than these while nobody can serve them are turned away, so that descriptors are left for those who will. */
const MAX_WAITING = 1_024;

/** Connections that were accepted while no worker takes any. */
export class WaitingRoom {
  readonly #sockets: Socket[] = [];

  add(socket: Socket): void {
    if (this.#sockets.length >= MAX_WAITING) socket.destroy();
    else this.#sockets.push(socket);
  }

  /** All, in the order that they came; they wait no longer. */
  empty(): readonly Socket[] {
    return this.#sockets.splice(0);
  }
}
