import type { Environment } from "../../../gen/flagwire/v1/environment_pb.js";
import { contractLimits } from "../limits.js";
import type { Violations } from "./violations.js";

export function checkEnvironment(environment: Environment, violations: Violations): void {
  const { name, description, privateAttributes } = environment;
  violations.key("environment.name", name);
  violations.text("environment.description", description, 4_096);
  checkPrivateAttributes("environment.private_attributes", privateAttributes, violations);
}

function checkPrivateAttributes(field: string, names: readonly string[], violations: Violations): void {
  const { privateAttributes, attributeLength } = contractLimits;
  violations.count(field, names.length, privateAttributes);
  if (names.length > privateAttributes) return;
  for (const [index, name] of names.entries()) {
    const one = `${field}[${index}]`;
    if (name === "") violations.add(one, "is empty");
    else violations.text(one, name, attributeLength);
    if (name !== "" && names.indexOf(name) < index) violations.add(one, "is there twice");
  }
}
