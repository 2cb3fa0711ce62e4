import { resolveEnvironment } from "./access/permit.js";
import { invalidArgument } from "./environment.js";
import type { Call } from "./handlers.js";
import type { OrRefusal } from "./refusal.js";

/** The header that names an environment in the protocols that have no field for it: flagd's services and OFREP. */
export const ENVIRONMENT_HEADER = "flagwire-environment";
/** flagd's header for the same: an environment is what flagd calls a flag set. */
export const SELECTOR_HEADER = "flagd-selector";

/**
 * The environment that a call means where its protocol is not ours: that of the header `flagwire-environment`, else flagd's
 * selector, of the header or `fallback`. A selector is `flagSetId=NAME`, `source=NAME` or a bare name. Undefined where
 * neither is there: the token's, else `production`, is meant.
 */
export function selectedEnvironment(
  call: Pick<Call, "header" | "identity">,
  fallback = "",
): OrRefusal<string | undefined> {
  const named = call.header(ENVIRONMENT_HEADER);
  if (named !== undefined && named !== "") return resolveEnvironment(named, call);
  const selector = call.header(SELECTOR_HEADER) || fallback;
  if (selector === "") return undefined;
  const [, key, value = ""] = /^(?:([^=]*)=)?(.*)$/s.exec(selector) ?? [];
  if (key !== undefined && key !== "flagSetId" && key !== "source") {
    const description = `has the key ${JSON.stringify(key)}; write flagSetId=ENVIRONMENT`;
    return invalidArgument([{ field: SELECTOR_HEADER, description }]);
  }
  return value === "" ? undefined : resolveEnvironment(value, call);
}
