import type { Socket } from "node:net";
import type { PeerCertificate, TLSSocket } from "node:tls";

/** What a client's certificate says, once it was looked at. */
export type ClientCertificate =
  | {
      readonly kind: "verified";
      /** The common name, then the other names: DNS names, URIs, e-mail addresses. */
      readonly names: readonly string[];
      /** In milliseconds since the epoch. */
      readonly expiresAtMs: number;
    }
  /** `reason` is OpenSSL's, such as CERT_HAS_EXPIRED. */
  | { readonly kind: "refused"; readonly reason: string };

// It hangs on the socket: an address is no name for a connection, because two that come to different ports of ours may have
// the same one. HTTP/2 gives its sockets wrapped, and passes properties on.
const certificateKey = Symbol("client certificate");
type MarkedSocket = Socket & { [certificateKey]?: ClientCertificate };

/** Keeps what the client of a connection has shown, for `clientCertificateOf`. */
export function rememberCertificate(socket: TLSSocket): void {
  const certificate = socket.getPeerCertificate();
  // Without one it is an empty object, and not authorized either.
  if (certificate.raw === undefined) return;
  (socket as MarkedSocket)[certificateKey] = socket.authorized
    ? toClientCertificate(certificate)
    : { kind: "refused", reason: String(socket.authorizationError) };
}

/** Undefined where the client has shown none, or was not asked. */
export function clientCertificateOf(socket: Socket | undefined): ClientCertificate | undefined {
  return (socket as MarkedSocket | undefined)?.[certificateKey];
}

/** Of a certificate that was verified. */
export function toClientCertificate({ subject, subjectaltname, valid_to }: PeerCertificate): ClientCertificate {
  // A common name that occurs twice comes as a list.
  const common: unknown = subject?.CN;
  const commonNames = Array.isArray(common) ? common.map(String) : typeof common === "string" ? [common] : [];
  return {
    kind: "verified",
    names: [...commonNames, ...alternativeNames(subjectaltname ?? "")],
    expiresAtMs: Date.parse(valid_to),
  };
}

/** Such as `DNS:a.test, URI:spiffe://a.test/b`. Node quotes, as JSON, what could be mistaken for more than one. */
const ALTERNATIVE_NAME = /(?:^|, )(?:DNS|URI|email):("(?:[^"\\]|\\.)*"|[^,"]+)(?=, |$)/g;

function alternativeNames(text: string): string[] {
  return [...text.matchAll(ALTERNATIVE_NAME)].map(([, name = ""]) => (name.startsWith('"') ? JSON.parse(name) : name));
}
