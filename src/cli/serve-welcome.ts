import { isLoopback } from "../base/index.js";
import type { FlagwireServer } from "../server/index.js";
import { defaultAddress, toHostPort } from "./address.js";
import type { Session } from "./session.js";
import { counted } from "./text.js";

export interface WelcomeOptions {
  readonly server: Pick<FlagwireServer, "address" | "revision" | "flagKeys">;
  /** The data directory, absolute. */
  readonly directory: string;
}

/** Says where everything is and what to try next. */
export async function welcome(session: Session, options: WelcomeOptions): Promise<void> {
  const { server } = options;
  const address = toHostPort(server.address);
  const keys = server.flagKeys();
  if (session.output.json) {
    return session.output.jsonLine({
      address,
      data: options.directory,
      flags: keys.length,
      revision: String(server.revision),
      version: session.io.version,
    });
  }
  const { version } = session.io;
  const access = isLoopback(server.address.host) ? "this machine" : "anyone who can connect";
  const lines = [
    `Flagwire ${version} serves on ${address}`,
    "",
    `  gRPC    ${address} (with health and reflection)`,
    `  JSON    http://${address}/flagwire.v1.EvaluationService/Evaluate`,
    `  health  http://${address}/healthz and /readyz`,
    `  data    ${options.directory} (${counted(keys.length, "flag")}, revision ${server.revision})`,
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
