import type { IncomingMessage } from "node:http";
import { CallScope } from "../call-scope.js";
import type { Call } from "../handlers.js";
import { type ClientCertificate, clientCertificateOf } from "../tls/client-certificate.js";

/** A request of OFREP. */
export class OfrepCall extends CallScope implements Call {
  readonly #request: IncomingMessage;

  constructor(request: IncomingMessage) {
    super();
    this.#request = request;
  }

  get peer(): string {
    const { remoteAddress, remotePort } = this.#request.socket;
    return `${remoteAddress}:${remotePort}`;
  }

  get certificate(): ClientCertificate | undefined {
    return clientCertificateOf(this.#request.socket);
  }

  /** A key in `X-API-Key` is a bearer token under another name. */
  header(name: string): string | undefined {
    const value = this.#read(name);
    if (value !== undefined || name !== "authorization") return value;
    const key = this.#read("x-api-key");
    return key === undefined ? undefined : `Bearer ${key}`;
  }

  #read(name: string): string | undefined {
    const value = this.#request.headers[name];
    return typeof value === "object" ? value.join(", ") : value;
  }
}
