import { isIP } from "node:net";
import { isLoopback } from "../../base/index.js";
import { Refusal } from "../refusal.js";

/** Why a request with this Host header is not answered; undefined if it is. */
export type RefuseHost = (header: string | undefined) => Refusal | undefined;

/**
 * Protects a server that trusts whoever reaches its loopback from the pages that a browser of this machine shows: a page
 * can have its own domain resolve to 127.0.0.1 (DNS rebinding), and is then of the same origin as this server. Its requests
 * still carry the domain in `Host`. So only `localhost` and IP addresses are answered: they need no resolving, and every
 * host that counts as loopback is one of them.
 *
 * A listener off loopback is reached by names that it cannot know; nothing is refused there. gRPC needs no such check:
 * browsers cannot speak HTTP/2 without TLS.
 */
export function createHostCheck(listenHost: string): RefuseHost {
  if (!isLoopback(listenHost)) return () => undefined;
  // Most clients name the same host in every request; to take it apart costs as much as an evaluation.
  let lastAllowed: string | undefined;
  return (header) => {
    if (header !== undefined && header === lastAllowed) return undefined;
    // HTTP/1.0 needs no host, and browsers send no malformed one.
    const name = header === undefined ? undefined : toHostName(header);
    if (name === undefined || name === "localhost" || isAddress(name)) {
      lastAllowed = header;
      return undefined;
    }
    return new Refusal(
      "PERMISSION_DENIED",
      "HOST_NOT_ALLOWED",
      `the host ${JSON.stringify(name)} is not this server's: it listens on ${listenHost} only, to be called as localhost or by IP address`,
      { metadata: { host: name } },
    );
  };
}

/** The name, or the address in brackets if it is IPv6, of `host:port`; in lower case. Undefined for what is no host. */
function toHostName(header: string): string | undefined {
  const url = `http://${header}`;
  const name = URL.canParse(url) ? new URL(url).hostname : "";
  return name === "" ? undefined : name;
}

function isAddress(name: string): boolean {
  return name.startsWith("[") || isIP(name) !== 0;
}
