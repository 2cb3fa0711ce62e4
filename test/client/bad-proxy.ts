import { once } from "node:events";
import { createServer as createHttpServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { createServer as createHttp2Server, type Http2ServerResponse } from "node:http2";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { Readable } from "node:stream";

/** What the proxy does to connections that are opened from now on. */
export type ProxyMode =
  | "passes"
  /** Cuts each connection after 0.5 s. */
  | "cuts"
  /** Carries nothing more after 0.5 s, and leaves the connection open. */
  | "stalls"
  /** Speaks HTTP/1.1 only, as its error to anything else says, and holds each answer back until it is whole. */
  | "buffers"
  /** Speaks HTTP/1.1 only, and never answers. */
  | "swallows"
  /** Carries HTTP/1.1 as `buffers` does, and answers HTTP/2 with `blockedStatus` and nothing else. */
  | "blocks HTTP/2"
  /** Answers everything with `blockedStatus`. */
  | "blocks all"
  /** Speaks HTTP/1.1 only, and answers with `blockedStatus`. */
  | "blocks HTTP/1.1";

const HTTP1_ONLY: ReadonlySet<ProxyMode> = new Set(["buffers", "swallows", "blocks HTTP/1.1"]);

/** A proxy of the kinds that stand in front of servers, and can be switched. */
export class BadProxy implements AsyncDisposable {
  mode: ProxyMode = "passes";
  readonly #sockets = new Set<Socket>();
  readonly #front = createServer((socket) => this.#accept(socket));
  readonly #http = createHttpServer((incoming, outgoing) => this.#forward(incoming, outgoing));
  readonly #http2 = createHttp2Server((incoming, outgoing) => this.#block(incoming, outgoing));
  blockedStatus = 403;
  /** Requests that were carried by HTTP/1.1. */
  http1Requests: string[] = [];

  constructor(readonly targetPort: number) {}

  /** How many sockets are open, on both sides. */
  get open(): number {
    return this.#sockets.size;
  }

  get address(): string {
    return `127.0.0.1:${(this.#front.address() as AddressInfo).port}`;
  }

  async listen(): Promise<this> {
    this.#front.listen(0, "127.0.0.1");
    await once(this.#front, "listening");
    return this;
  }

  /** Ends what is open: what is opened then meets the mode. */
  switchTo(mode: ProxyMode): void {
    this.mode = mode;
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.switchTo("passes");
    await new Promise((resolve) => this.#front.close(resolve));
  }

  #accept(socket: Socket): void {
    this.#track(socket);
    if (HTTP1_ONLY.has(this.mode)) this.#http.emit("connection", socket);
    else if (this.mode === "blocks HTTP/2" || this.mode === "blocks all") this.#speakBoth(socket);
    else this.#tunnel(socket, this.mode);
  }

  #tunnel(client: Socket, mode: ProxyMode): void {
    const server = this.#track(connect(this.targetPort, "127.0.0.1"));
    client.pipe(server).pipe(client);
    client.once("close", () => server.destroy());
    server.once("close", () => client.destroy());
    if (mode === "passes") return;
    const timer = setTimeout(() => {
      if (mode === "cuts") {
        client.destroy();
        return;
      }
      client.unpipe();
      server.unpipe();
      // So that its end is seen.
      client.resume();
    }, 500);
    client.once("close", () => clearTimeout(timer));
  }

  /** HTTP/2 begins with `PRI`. */
  #speakBoth(socket: Socket): void {
    socket.once("readable", () => {
      const start: Buffer | null = socket.read();
      if (start === null) return;
      socket.unshift(start);
      (start.toString("latin1").startsWith("PRI") ? this.#http2 : this.#http).emit("connection", socket);
    });
  }

  #block(incoming: Readable, outgoing: ServerResponse | Http2ServerResponse): void {
    incoming.resume();
    outgoing.statusCode = this.blockedStatus;
    outgoing.setHeader("content-type", "text/html");
    outgoing.end();
  }

  #forward(incoming: IncomingMessage, outgoing: ServerResponse): void {
    this.http1Requests.push(incoming.url ?? "");
    if (this.mode === "swallows") return;
    if (this.mode === "blocks all" || this.mode === "blocks HTTP/1.1") {
      this.#block(incoming, outgoing);
      return;
    }
    const { method, url: path, headers } = incoming;
    const upstream = request({ port: this.targetPort, host: "127.0.0.1", method, path, headers }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("error", () => outgoing.destroy());
      answer.on("end", () => {
        outgoing.writeHead(answer.statusCode ?? 502, { "content-type": answer.headers["content-type"] ?? "" });
        outgoing.end(Buffer.concat(chunks));
      });
    });
    upstream.on("error", () => outgoing.destroy());
    outgoing.on("close", () => upstream.destroy());
    incoming.pipe(upstream);
  }

  #track(socket: Socket): Socket {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
    return socket;
  }
}
