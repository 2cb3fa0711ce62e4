import type { Role } from "../../../gen/flagwire/v1/access_pb.js";
import type { ClientCertificate } from "../tls/client-certificate.js";
import type { Identity } from "./identity.js";

/** What the holder of a certificate may do. */
export interface ClientRole {
  /** The certificate's common name, or another of its names, to the letter. */
  readonly name: string;
  readonly role: Role;
  /** Empty: everywhere. */
  readonly environments: readonly string[];
}

/** Who a certificate's holder is: of several roles that it has names for, the first. Undefined where it has none. */
export function identityOfCertificate(
  { names, expiresAtMs }: ClientCertificate & { readonly kind: "verified" },
  roles: readonly ClientRole[],
): Identity | undefined {
  const found = roles.find(({ name }) => names.includes(name));
  if (found === undefined) return undefined;
  const { name, role, environments } = found;
  return { tokenId: undefined, certificateName: name, name, role, environments, expiresAtMs };
}
