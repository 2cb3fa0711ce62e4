import type * as http2 from "node:http2";
import type * as net from "node:net";
import { Http2SessionManager } from "@connectrpc/connect-node";
import { connectSocket, type SocketTarget } from "./connect-socket.js";

/** Settings of a session. */
export interface GrpcSessionOptions extends SocketTarget {
  /** How long a connection with an open stream may be idle before it is pinged, in milliseconds. */
  readonly pingIntervalMs: number;
  /** How long the answer to a ping may take. */
  readonly pingTimeoutMs: number;
}

/** One HTTP/2 connection, opened when first needed, that can let the program end although a stream is open. */
export class GrpcSession {
  readonly #manager: Http2SessionManager;
  #socket: net.Socket | undefined;
  #session: http2.Http2Session | undefined;
  #isDetached: boolean;
  #isAborted = false;

  constructor(options: GrpcSessionOptions, isDetached: boolean) {
    this.#isDetached = isDetached;
    const { pingIntervalMs, pingTimeoutMs } = options;
    const createConnection = (): net.Socket => this.#connect(options);
    this.#manager = new Http2SessionManager(options.url, { pingIntervalMs, pingTimeoutMs }, { createConnection });
  }

  get authority(): string {
    return this.#manager.authority;
  }

  async request(
    method: string,
    path: string,
    headers: http2.OutgoingHttpHeaders,
    options: Omit<http2.ClientSessionRequestOptions, "signal">,
  ): Promise<http2.ClientHttp2Stream> {
    const stream = await this.#manager.request(method, path, headers, options);
    this.#adopt(stream.session);
    // The manager refs the session for its first stream.
    if (this.#isDetached) this.unref();
    return stream;
  }

  /**
   * The manager listens for a session's errors only while it uses the session. After a protocol error, such as from a server
   * that speaks HTTP/1.1, giving up takes that listener away before the error is raised, which would end the process.
   */
  #adopt(session: http2.Http2Session | undefined): void {
    if (session === undefined || session === this.#session) return;
    this.#session = session;
    session.on("error", () => {});
  }

  notifyResponseByteRead(stream: http2.ClientHttp2Stream): void {
    this.#manager.notifyResponseByteRead(stream);
  }

  unref(): void {
    this.#isDetached = true;
    this.#socket?.unref();
    if (this.#session?.destroyed === false) this.#session.unref();
  }

  /** Drops the connection at once, whatever its state. */
  abort(): void {
    this.#isAborted = true;
    this.#manager.abort();
    this.#socket?.destroy();
  }

  #connect(options: GrpcSessionOptions): net.Socket {
    const socket = connectSocket(options, "h2");
    if (this.#isDetached) socket.unref();
    // A call that was given up while it was prepared may still come to this.
    if (this.#isAborted) socket.destroy();
    this.#socket = socket;
    return socket;
  }
}
