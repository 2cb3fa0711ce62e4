import type * as http2 from "node:http2";
import * as net from "node:net";
import * as tls from "node:tls";
import { Http2SessionManager } from "@connectrpc/connect-node";

/** Certificates, in PEM. Absent ones are the system's. */
export interface TlsOptions {
  /** Who may have signed the server's certificate. */
  readonly ca?: string | Buffer;
  /** The client's own certificate and its key, where the server asks for them. */
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  /** The name on the server's certificate, if it is not the address's host. */
  readonly servername?: string;
}

/** Settings of a session. */
export interface GrpcSessionOptions {
  readonly url: URL;
  readonly tls: TlsOptions | undefined;
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
    this.#manager.abort();
    this.#socket?.destroy();
  }

  #connect({ url, tls: tlsOptions }: GrpcSessionOptions): net.Socket {
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const isTls = url.protocol === "https:";
    const port = url.port === "" ? (isTls ? 443 : 80) : Number(url.port);
    const name = net.isIP(host) === 0 ? { servername: host } : {};
    const socket = isTls
      ? tls.connect({ host, port, ALPNProtocols: ["h2"], ...name, ...tlsOptions })
      : net.connect({ host, port, noDelay: true });
    if (this.#isDetached) socket.unref();
    this.#socket = socket;
    return socket;
  }
}
