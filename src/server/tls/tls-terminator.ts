import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import type { Logger } from "pino";
import { rememberCertificate } from "./client-certificate.js";
import type { KeyMaterialSource } from "./key-material.js";

export interface TlsTerminatorOptions {
  readonly material: KeyMaterialSource;
  /** How long a handshake may take, in milliseconds. */
  readonly handshakeTimeoutMs: number;
  readonly log: Logger;
  /** Takes connections whose handshake is done. */
  readonly onSecure: (socket: TLSSocket) => void;
}

/**
 * Makes clear text of TLS 1.2 and 1.3, over sockets that somebody else accepted, in whichever process. New connections get the
 * newest material; those that are open keep theirs.
 */
export class TlsTerminator {
  readonly #server: Server;
  readonly #log: Logger;
  readonly #unfollow: () => void;
  /** By what tells connections apart: the socket that comes out is another than the one that went in. */
  readonly #handshakes = new Map<string, Socket>();

  constructor({ material, handshakeTimeoutMs, log, onSecure }: TlsTerminatorOptions) {
    this.#log = log;
    this.#server = createServer({
      ...contextOf(material),
      ALPNCallback: ({ protocols }) => chooseProtocol(protocols),
      handshakeTimeout: handshakeTimeoutMs,
      requestCert: material.current.clientCa !== undefined,
      // A client may present a token instead; who has shown what is not verified is told so when it calls.
      rejectUnauthorized: false,
    });
    this.#server.on("secureConnection", (socket) => {
      this.#handshakes.delete(endsOf(socket));
      rememberCertificate(socket);
      onSecure(socket);
    });
    this.#server.on("tlsClientError", (error: NodeJS.ErrnoException, socket) => this.#fail(error, socket));
    this.#unfollow = material.onChange(() => this.#server.setSecureContext(contextOf(material)));
  }

  /** How many connections have not come through yet. */
  get handshakes(): number {
    return this.#handshakes.size;
  }

  /** Begins a connection that nothing was read of. One whose handshake fails is closed, and never heard of. */
  accept(socket: Socket): void {
    const ends = endsOf(socket);
    this.#handshakes.set(ends, socket);
    socket.once("close", () => {
      if (this.#handshakes.get(ends) === socket) this.#handshakes.delete(ends);
    });
    // TLS tells of errors by itself, but not before it has begun.
    socket.on("error", () => socket.destroy());
    this.#server.emit("connection", socket);
  }

  /** Destroys what has not come through, and follows the material no longer. */
  close(): void {
    this.#unfollow();
    for (const socket of this.#handshakes.values()) socket.destroy();
  }

  #fail({ code }: NodeJS.ErrnoException, socket: TLSSocket): void {
    // Anybody can cause these at any rate: scanners, and clients that do not trust the certificate.
    this.#log.debug({ code, peer: `${socket.remoteAddress}:${socket.remotePort}` }, "a TLS handshake failed");
    socket.destroy();
  }
}

function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress}:${remotePort} ${localAddress}:${localPort}`;
}

function contextOf({ current: { cert, key, clientCa } }: KeyMaterialSource) {
  return {
    cert,
    key,
    ...(clientCa === undefined ? {} : { ca: clientCa }),
    minVersion: "TLSv1.2" as const,
    // New ones each time: a session that is resumed would bring a certificate that the new authority has not signed.
    ticketKeys: randomBytes(48),
  };
}

/**
 * HTTP/1.1 for whoever can speak it: browsers and curl offer both, and all but gRPC is answered over HTTP/1.1 only. Clients of gRPC
 * offer HTTP/2 alone. Undefined, which ends the handshake, where neither is offered.
 */
function chooseProtocol(offered: readonly string[]): string | undefined {
  return ["http/1.1", "h2"].find((protocol) => offered.includes(protocol));
}
