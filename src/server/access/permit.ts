import { Role } from "../../../gen/flagwire/v1/access_pb.js";
import type { Record } from "../../../gen/flagwire/v1/history_pb.js";
import { DEFAULT_ENVIRONMENT } from "../environment.js";
import type { Call } from "../handlers.js";
import { type OrRefusal, Refusal } from "../refusal.js";
import { type Identity, roleName } from "./identity.js";

/** Why a role does not suffice; undefined if it does. */
export function refuseRole({ identity }: Pick<Call, "identity">, needed: Role): Refusal | undefined {
  const role = identity?.role ?? Role.UNSPECIFIED;
  if (role >= needed) return undefined;
  const message = `this needs the role ${roleName(needed)}; ${credential(identity)} has ${roleName(role)}`;
  return new Refusal("PERMISSION_DENIED", "ROLE_INSUFFICIENT", message, {
    metadata: { needed: roleName(needed), role: roleName(role) },
  });
}

/** What a caller has come in with, for people. */
function credential(identity: Identity | undefined): string {
  if (identity?.certificateName !== undefined) return "the client certificate";
  return identity?.tokenId === undefined ? "a caller without a token" : "the token";
}

/** Whether a caller may see what is of an environment; of none is what all share. */
export function maySee({ identity }: Pick<Call, "identity">, environment: string): boolean {
  const environments = identity?.environments ?? [];
  return environment === "" || environments.length === 0 || environments.includes(environment);
}

/** Whether a caller may see a change: who may not list tokens hears nothing of them in history either. */
export function maySeeChange(call: Pick<Call, "identity">, { environment, kind }: SeenChange): boolean {
  return (kind !== "token" || maySeeTokens(call)) && maySee(call, environment);
}

/** What of a change tells whom it concerns: its record's environment and kind. */
export interface SeenChange {
  readonly environment: string;
  readonly kind: Record["kind"]["case"];
}

/** Whether a caller may see every change. */
export function maySeeAll(call: Pick<Call, "identity">): boolean {
  return isUnlimited(call) && maySeeTokens(call);
}

function maySeeTokens(call: Pick<Call, "identity">): boolean {
  return isUnlimited(call) && refuseRole(call, Role.ADMIN) === undefined;
}

/** The environment that a request means, if the caller may ask for it. */
export function resolveEnvironment(name: string, { identity }: Pick<Call, "identity">): OrRefusal<string> {
  const environments = identity?.environments ?? [];
  if (name === "") return usualEnvironment(environments);
  return environments.length === 0 || environments.includes(name) ? name : environmentDenied(name, identity);
}

function usualEnvironment(environments: readonly string[]): string {
  if (environments.length === 0 || environments.includes(DEFAULT_ENVIRONMENT)) return DEFAULT_ENVIRONMENT;
  return environments[0] ?? DEFAULT_ENVIRONMENT;
}

/** Whether a caller's rights concern all environments. */
export function isUnlimited({ identity }: Pick<Call, "identity">): boolean {
  return (identity?.environments.length ?? 0) === 0;
}

/** Why what concerns all environments is not for this caller; undefined if it is. */
export function refuseEverywhere({ identity }: Pick<Call, "identity">): Refusal | undefined {
  if (identity === undefined || identity.environments.length === 0) return undefined;
  const message = `this concerns all environments; ${credential(identity)} is for ${identity.environments.join(", ")} only`;
  return new Refusal("PERMISSION_DENIED", "ENVIRONMENT_NOT_PERMITTED", message);
}

function environmentDenied(name: string, identity: Identity | undefined): Refusal {
  const message = `${credential(identity)} is not for the environment ${JSON.stringify(name)}`;
  return new Refusal("PERMISSION_DENIED", "ENVIRONMENT_NOT_PERMITTED", message, { metadata: { environment: name } });
}
