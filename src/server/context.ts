import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { Context as ContextMessage } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { Context } from "../engine/index.js";
import { invalidArgument } from "./environment.js";
import { contractLimits } from "./limits.js";
import type { OrRefusal } from "./refusal.js";

const EMPTY: Context = Object.freeze({});

/** A request's context in the flat form that the engine reads; refused where it is nested too deep. */
export function toContext(message: ContextMessage | undefined): OrRefusal<Context> {
  const attributes = message?.attributes;
  if (message === undefined || attributes === undefined) {
    return message?.targetingKey ? { targetingKey: message.targetingKey } : EMPTY;
  }
  const tooDeep = findTooDeep(attributes);
  if (tooDeep !== undefined) {
    const description = `is nested more than ${contractLimits.contextDepth} levels deep`;
    return invalidArgument([{ field: `context.attributes[${JSON.stringify(tooDeep)}]`, description }]);
  }
  // Our own copy could drop a key `__proto__`; the decoded message is nobody else's, so it can be completed in place.
  if (message.targetingKey !== "") attributes.targetingKey = message.targetingKey;
  return attributes as Context;
}

/** The first attribute that is nested too deep. */
function findTooDeep(attributes: JsonObject): string | undefined {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "object" && value !== null && !fits(value, contractLimits.contextDepth - 1)) return name;
  }
  return undefined;
}

function fits(value: JsonValue, levels: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (levels === 0) return false;
  for (const member of Object.values(value)) if (member !== undefined && !fits(member, levels - 1)) return false;
  return true;
}
