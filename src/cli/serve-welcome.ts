import { resolve } from "node:path";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { isLoopback } from "../base/index.js";
import type { AnonymousRole, ServerAddress } from "../server/index.js";
import { defaultAddress, toHostPort } from "./address.js";
import type { ServeOptions } from "./serve-options.js";
import type { Session } from "./session.js";
import { counted } from "./text.js";

export interface WelcomeOptions {
  readonly address: ServerAddress;
  /** The ports for flagd's clients, where there are any. */
  readonly flagd: FlagdAddresses | undefined;
  readonly revision: bigint;
  readonly flagCount: number;
  /** Any one, to try things with. */
  readonly firstFlagKey: string | undefined;
  /** Whether every call needs a token. */
  readonly hasTokens: boolean;
  /** Whether the server speaks TLS. */
  readonly isTls: boolean;
  /** Whether there are roles of client certificates. */
  readonly hasClientRoles: boolean;
  /** What callers may do without one, such as `reader in production`; undefined for nothing. */
  readonly anonymousRole: string | undefined;
  /** How many processes answer. */
  readonly workers: number;
  /** The data directory, absolute. */
  readonly directory: string;
}

export interface FlagdAddresses {
  readonly sync: ServerAddress;
  readonly ofrep: ServerAddress;
}

/** What the options tell. */
export function welcomeParts({ data, workers, tls, clientRoles, anonymousRole }: ServeOptions) {
  return {
    directory: resolve(data),
    workers,
    isTls: tls !== undefined,
    hasClientRoles: clientRoles.length > 0,
    anonymousRole: anonymousRole && describeAnonymousRole(anonymousRole),
  };
}

function describeAnonymousRole({ role, environments }: AnonymousRole): string {
  const where = environments.length === 0 ? "every environment" : environments.join(", ");
  return `${Role[role].toLowerCase()} in ${where}`;
}

/** Says where everything is and what to try next. */
export async function welcome(session: Session, options: WelcomeOptions): Promise<void> {
  const { revision, flagCount, workers } = options;
  const address = toHostPort(options.address);
  const flagd = options.flagd && { sync: toHostPort(options.flagd.sync), ofrep: toHostPort(options.flagd.ofrep) };
  if (session.output.json) {
    return session.output.jsonLine({
      address,
      data: options.directory,
      ...(flagd === undefined ? {} : { flagd }),
      flags: flagCount,
      revision: String(revision),
      tls: options.isTls,
      version: session.io.version,
      workers,
    });
  }
  const { version } = session.io;
  const url = `${options.isTls ? "https" : "http"}://${address}`;
  const lines = [
    `Flagwire ${version} serves on ${address}`,
    "",
    `  gRPC    ${address} (with health and reflection${options.isTls ? ", over TLS" : ""})`,
    `  JSON    ${url}/flagwire.v1.EvaluationService/Evaluate`,
    `  OFREP   ${url}/ofrep/v1/evaluate/flags`,
    ...(flagd === undefined
      ? []
      : [`  flagd   ${flagd.sync} for sync, ${flagd.ofrep} for OFREP: the same on other ports`]),
    `  health  ${url}/healthz and /readyz`,
    `  data    ${options.directory} (${counted(flagCount, "flag")}, revision ${revision})`,
    ...(workers === 1 ? [] : [`  workers ${workers} processes`]),
    `  access  ${accessLine(options)}`,
    "",
    "Try next, in another terminal:",
    "",
    ...suggestions(options.isTls ? url : address, url, options.firstFlagKey).map((line) => `  ${line}`),
    "",
  ];
  await session.output.line(lines.join("\n"));
}

function accessLine({ hasTokens, hasClientRoles, anonymousRole, address }: WelcomeOptions): string {
  const without = anonymousRole === undefined ? "" : `; without, a caller is ${anonymousRole}`;
  if (hasClientRoles) return `every call needs a client certificate that has a role, or a token${without}`;
  if (hasTokens) return `every call needs a token${without}`;
  if (isLoopback(address.host)) return "no token exists: this machine may read and change everything";
  if (anonymousRole === undefined) return "no token exists: anyone who can connect may read and change everything";
  return `no token exists: this machine may read and change everything; anyone else is ${anonymousRole}`;
}

function suggestions(address: string, url: string, key: string | undefined): readonly string[] {
  const option = address === defaultAddress ? "" : ` --address ${address}`;
  const list = `npx flagwire flags list${option}`;
  const watch = `npx flagwire watch${option}`;
  if (key === undefined) {
    return [`npx flagwire flags create my-first-flag --type boolean --kind operational --on${option}`, list, watch];
  }
  return [
    list,
    `npx flagwire eval ${key} --targeting-key user-1${option}`,
    watch,
    `npx flagwire kill ${key} --reason "trying it"${option}`,
    `curl ${url}/flagwire.v1.EvaluationService/Evaluate -H 'content-type: application/json' \\`,
    `  -d '{"flagKey":"${key}","context":{"targetingKey":"user-1"}}'`,
  ];
}
