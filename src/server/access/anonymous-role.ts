import type { Role } from "../../../gen/flagwire/v1/access_pb.js";

/** What a caller may do who presents nothing, where something is needed. */
export interface AnonymousRole {
  readonly role: Role;
  /** Empty: everywhere. */
  readonly environments: readonly string[];
}
