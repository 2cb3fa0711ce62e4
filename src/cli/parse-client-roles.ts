import type { Role } from "../../gen/flagwire/v1/access_pb.js";
import type { ClientRole } from "../server/index.js";
import { usageFailure } from "./failure.js";
import { roles } from "./roles.js";

const ENVIRONMENT = /^[A-Za-z0-9._-]+$/;

/**
 * Reads `NAME=ROLE[@ENV,ENV],…`, such as `ops=admin,payments=reader@production,staging`: what follows a comma and has no `=` is one
 * more environment of the name before. A name may hold `=` and `@` itself. `what` names the option in a complaint.
 */
export function parseClientRoles(text: string, what: string): readonly ClientRole[] {
  const found: { name: string; role: Role; environments: string[] }[] = [];
  const wrong = (part: string, why: string) => usageFailure(`${what}: ${JSON.stringify(part)} ${why}`);
  for (const part of text.split(",").map((part) => part.trim())) {
    const equals = part.lastIndexOf("=");
    if (equals === -1) {
      const last = found.at(-1);
      if (last === undefined || last.environments.length === 0) {
        throw wrong(part, "is not NAME=ROLE or NAME=ROLE@ENVIRONMENT, such as payments=reader@production");
      }
      last.environments.push(checkEnvironment(part));
      continue;
    }
    const name = part.slice(0, equals);
    const [roleName = "", environment, ...more] = part.slice(equals + 1).split("@");
    const role = roles.get(roleName);
    if (name === "") throw wrong(part, "names no certificate");
    if (role === undefined) throw wrong(part, `has no role; there are ${[...roles.keys()].join(", ")}`);
    if (more.length > 0) throw wrong(part, "has more than one @ after the role; part environments by commas");
    if (found.some((other) => other.name === name)) throw wrong(part, "gives a name a second role");
    found.push({ name, role, environments: environment === undefined ? [] : [checkEnvironment(environment)] });
  }
  return found;

  function checkEnvironment(name: string): string {
    if (ENVIRONMENT.test(name)) return name;
    throw wrong(name, "is no name of an environment");
  }
}
