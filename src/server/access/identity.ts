import { Role } from "../../../gen/flagwire/v1/access_pb.js";

/** Who calls, and what they may do. */
export interface Identity {
  /** The token's id; undefined for a caller who needs none. */
  readonly tokenId: string | undefined;
  /** The name on the client's certificate that gives the role, where that is how it came in. */
  readonly certificateName?: string | undefined;
  /** Whether it has the role of those who present nothing where something is needed. All of these are one caller. */
  readonly isAnonymous?: boolean;
  /** For history. */
  readonly name: string;
  readonly role: Role;
  /** Empty: everywhere. */
  readonly environments: readonly string[];
  /** In milliseconds since the epoch. Infinity: never. */
  readonly expiresAtMs: number;
}

/** The role's name as people write it, such as `reader`. */
export function roleName(role: Role): string {
  return (Role[role] ?? String(role)).toLowerCase();
}
