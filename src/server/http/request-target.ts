import type { IncomingMessage } from "node:http";

const ABSOLUTE_FORM = /^https?:\/\/([^/?#]*)(.*)$/i;

/**
 * Brings a request whose target is a whole URL, as clients send it through a proxy, into the usual form of a path and a
 * host. The URL's host replaces the header: RFC 9112, section 3.2.2.
 */
export function toOriginForm(request: IncomingMessage): void {
  const [, host, rest = ""] = ABSOLUTE_FORM.exec(request.url ?? "") ?? [];
  if (host === undefined) return;
  request.url = rest.startsWith("/") ? rest : `/${rest}`;
  request.headers.host = host;
}
