import { once } from "node:events";
import { createServer as createHttpServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

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
  | "swallows";

/** A proxy of the kinds that stand in front of servers, and can be switched. */
export class BadProxy implements AsyncDisposable {
  mode: ProxyMode = "passes";
  readonly #sockets = new Set<Socket>();
  readonly #front = createServer((socket) => this.#accept(socket));
  readonly #http = createHttpServer((incoming, outgoing) => this.#forward(incoming, outgoing));
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
    if (this.mode === "buffers" || this.mode === "swallows") this.#http.emit("connection", socket);
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

  #forward(incoming: IncomingMessage, outgoing: ServerResponse): void {
    this.http1Requests.push(incoming.url ?? "");
    if (this.mode === "swallows") return;
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
