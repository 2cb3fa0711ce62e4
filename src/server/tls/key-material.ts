import { createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";

/** What a server proves itself with over TLS, in PEM. */
export interface KeyMaterial {
  /** The server's certificate, and after it those that lead to one that clients trust. */
  readonly cert: string;
  readonly key: string;
  /** Who may have signed clients' certificates. Undefined: clients are not asked for any. */
  readonly clientCa: string | undefined;
}

/** Key material that may be replaced while it is in use. Only ever holds what `keyMaterialProblem` finds nothing wrong with. */
export interface KeyMaterialSource {
  readonly current: KeyMaterial;
  /** Calls `listener` after `current` has changed, until the function returned is called. */
  onChange(listener: () => void): () => void;
}

/** What is wrong, and with which part of it. */
export interface KeyMaterialProblem {
  readonly part: keyof KeyMaterial;
  /** Goes on from the part's name. Holds nothing of the key. */
  readonly message: string;
}

const CERTIFICATES = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/** Why a server cannot use it; undefined if it can. */
export function keyMaterialProblem({ cert, key, clientCa }: KeyMaterial): KeyMaterialProblem | undefined {
  const certificates = parseCertificates(cert);
  const [own] = certificates ?? [];
  if (own === undefined) return { part: "cert", message: "holds no certificate in PEM, or a damaged one" };
  const privateKey = parseKey(key);
  if (typeof privateKey === "string") return { part: "key", message: privateKey };
  if (!own.checkPrivateKey(privateKey)) return { part: "key", message: "is not the key of the certificate" };
  if (clientCa !== undefined && (parseCertificates(clientCa) ?? []).length === 0) {
    return { part: "clientCa", message: "holds no certificate in PEM, or a damaged one" };
  }
  try {
    createSecureContext({ cert, key, ca: clientCa });
    return undefined;
  } catch (error) {
    // Such as a key that is too short for what this version of OpenSSL accepts.
    return { part: "cert", message: `cannot be used: ${error instanceof Error ? error.message : String(error)}` };
  }
}

/** When the server's certificate ends, in milliseconds since the epoch. */
export function expiryOf({ cert }: KeyMaterial): number {
  return Date.parse(new X509Certificate(cert).validTo);
}

/** Undefined if one of them is damaged, or if the last one is not there whole: the file may be being written. */
function parseCertificates(text: string): readonly X509Certificate[] | undefined {
  const found = text.match(CERTIFICATES) ?? [];
  if ((text.match(/-----BEGIN CERTIFICATE-----/g) ?? []).length !== found.length) return undefined;
  try {
    return found.map((one) => new X509Certificate(one));
  } catch {
    return undefined;
  }
}

function parseKey(text: string) {
  try {
    return createPrivateKey(text);
  } catch {
    return /ENCRYPTED/.test(text)
      ? "is encrypted; give it without a passphrase, readable by the server alone"
      : "holds no private key in PEM, or a damaged one";
  }
}
