import { Role } from "../../gen/flagwire/v1/access_pb.js";
import type { AnonymousRole } from "../server/index.js";
import type { Setting } from "./config/find-setting.js";
import { usageFailure } from "./failure.js";
import { roles } from "./roles.js";

const FORM = /^([a-z]+)(?:@([A-Za-z0-9._-]+(?:,[A-Za-z0-9._-]+)*))?$/;

/** Reads `ROLE[@ENV,ENV]`, such as `reader@production`. Only roles that change nothing: nobody could say who did. */
export function parseAnonymousRole({ text, what }: Setting): AnonymousRole {
  const [, name = "", environments] = FORM.exec(text) ?? [];
  const role = roles.get(name);
  if (role === Role.EVALUATOR || role === Role.READER) return { role, environments: environments?.split(",") ?? [] };
  throw usageFailure(
    `${what} ${JSON.stringify(text)} is neither evaluator nor reader, in all environments or some, such as reader@production`,
  );
}
