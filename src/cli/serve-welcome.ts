import type { StoreState } from "../store/index.js";
import { defaultAddress, type HostPort, isLoopback, toHostPort } from "./address.js";
import { counted } from "./printable.js";
import type { Session } from "./session.js";

export interface WelcomeOptions {
  readonly address: HostPort;
  /** The data directory, absolute. */
  readonly directory: string;
  readonly state: StoreState;
}

/** Says where everything is and what to try next. */
export async function welcome(session: Session, options: WelcomeOptions): Promise<void> {
  const address = toHostPort(options.address);
  const keys = flagKeys(options.state);
  if (session.output.json) {
    return session.output.jsonLine({
      address,
      data: options.directory,
      flags: keys.length,
      revision: String(options.state.revision),
      version: session.io.version,
    });
  }
  const { version } = session.io;
  const access = isLoopback(options.address.host) ? "this machine" : "anyone who can connect";
  const lines = [
    `Flagwire ${version} serves on ${address}`,
    "",
    `  gRPC    ${address} (with health and reflection)`,
    `  JSON    http://${address}/flagwire.v1.EvaluationService/Evaluate`,
    `  health  http://${address}/healthz and /readyz`,
    `  data    ${options.directory} (${counted(keys.length, "flag")}, revision ${options.state.revision})`,
    `  access  no token exists: ${access} may read and change everything`,
    "",
    "Try next, in another terminal:",
    "",
    ...suggestions(address, keys[0]).map((line) => `  ${line}`),
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

function flagKeys({ records }: StoreState): readonly string[] {
  const keys: string[] = [];
  for (const { kind } of records.values()) if (kind.case === "flag") keys.push(kind.value.key);
  return keys.sort();
}
