import type { Context as ContextMessage } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { Snapshot } from "../engine/index.js";

/** The attributes that an explanation must leave out: the environment's, and those that the caller names. */
export function privateAttributesOf(
  { privateAttributes }: Snapshot,
  context: Pick<ContextMessage, "privateAttributes"> | undefined,
): readonly string[] {
  const named = context?.privateAttributes ?? [];
  return named.length === 0 ? privateAttributes : [...privateAttributes, ...named];
}
