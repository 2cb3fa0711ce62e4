import { Role } from "../../gen/flagwire/v1/access_pb.js";

/** Roles by the names that people write, from the least to the most. */
export const roles: ReadonlyMap<string, Role> = new Map([
  ["evaluator", Role.EVALUATOR],
  ["reader", Role.READER],
  ["operator", Role.OPERATOR],
  ["editor", Role.EDITOR],
  ["admin", Role.ADMIN],
]);
