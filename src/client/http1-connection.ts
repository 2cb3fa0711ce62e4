import type { Socket } from "node:net";
import type { Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { connectSocket, type SocketTarget } from "./connect-socket.js";

/** Settings of a connection. */
export interface Http1ConnectionOptions extends SocketTarget {
  readonly readMaxBytes: number;
}

/** Connect's protocol over HTTP/1.1, for where nothing better gets through. Each call has a socket of its own. */
export class Http1Connection {
  readonly transport: Transport;
  readonly #sockets = new Set<Socket>();
  #isDetached: boolean;

  constructor(options: Http1ConnectionOptions, isDetached: boolean) {
    this.#isDetached = isDetached;
    // Without an agent: one of Node's would keep the sockets to itself.
    const createConnection = (): Socket => this.#connect(options);
    this.transport = createConnectTransport({
      baseUrl: options.url.href,
      httpVersion: "1.1",
      nodeOptions: { createConnection },
      useBinaryFormat: true,
      readMaxBytes: options.readMaxBytes,
      acceptCompression: [],
    });
  }

  /** From now on, its sockets do not keep the program from ending by itself. */
  unref(): void {
    this.#isDetached = true;
    for (const socket of this.#sockets) socket.unref();
  }

  /** Drops the sockets at once, whatever their state. */
  abort(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #connect(options: SocketTarget): Socket {
    const socket = connectSocket(options, "http/1.1");
    if (this.#isDetached) socket.unref();
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    return socket;
  }
}
