import * as net from "node:net";
import * as tls from "node:tls";

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

/** Where a socket leads to. */
export interface SocketTarget {
  readonly url: URL;
  readonly tls: TlsOptions | undefined;
}

/** Connects to a server that speaks `protocol`, by its ALPN name. */
export function connectSocket({ url, tls: tlsOptions }: SocketTarget, protocol: "h2" | "http/1.1"): net.Socket {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const isTls = url.protocol === "https:";
  const port = url.port === "" ? (isTls ? 443 : 80) : Number(url.port);
  const name = net.isIP(host) === 0 ? { servername: host } : {};
  return isTls
    ? tls.connect({ host, port, ALPNProtocols: [protocol], ...name, ...tlsOptions })
    : net.connect({ host, port, noDelay: true });
}
