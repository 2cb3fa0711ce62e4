import { isLoopback } from "../base/index.js";
import type { ServerAddress } from "../server/index.js";
import { defaultAddress, toHostPort } from "./address.js";
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
  /** How many processes answer. */
  readonly workers: number;
  /** The data directory, absolute. */
  readonly directory: string;
}

export interface FlagdAddresses {
  readonly sync: ServerAddress;
  readonly ofrep: ServerAddress;
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
      version: session.io.version,
      workers,
    });
  }
  const { version } = session.io;
  const anybody = isLoopback(options.address.host) ? "this machine" : "anyone who can connect";
  const access = options.hasTokens
    ? "every call needs a token"
    : `no token exists: ${anybody} may read and change everything`;
  const lines = [
    `Flagwire ${version} serves on ${address}`,
    "",
    `  gRPC    ${address} (with health and reflection)`,
    `  JSON    http://${address}/flagwire.v1.EvaluationService/Evaluate`,
    `  OFREP   http://${address}/ofrep/v1/evaluate/flags`,
    ...(flagd === undefined
      ? []
      : [`  flagd   ${flagd.sync} for sync, ${flagd.ofrep} for OFREP: the same on other ports`]),
    `  health  http://${address}/healthz and /readyz`,
    `  data    ${options.directory} (${counted(flagCount, "flag")}, revision ${revision})`,
    ...(workers === 1 ? [] : [`  workers ${workers} processes`]),
    `  access  ${access}`,
    "",
    "Try next, in another terminal:",
    "",
    ...suggestions(address, options.firstFlagKey).map((line) => `  ${line}`),
    "",
  ];
  await session.output.line(lines.join("\n"));
}

function suggestions(address: string, key: string | undefined): readonly string[] {
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
    `curl http://${address}/flagwire.v1.EvaluationService/Evaluate -H 'content-type: application/json' \\`,
    `  -d '{"flagKey":"${key}","context":{"targetingKey":"user-1"}}'`,
  ];
}
