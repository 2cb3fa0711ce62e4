import { ConnectError } from "@connectrpc/connect";
import type { FlagFile } from "../../gen/flagwire/v1/history_pb.js";
import { type HostPort, toHostPort } from "./address.js";
import { sendFlagFile } from "./files/send-flag-file.js";
import { openRemote } from "./remote.js";
import { toRemoteFailure } from "./remote-failure.js";
import type { Session } from "./session.js";
import { counted } from "./text.js";

/** A file to begin with. */
export interface Seed {
  readonly path: string;
  readonly file: FlagFile;
}

/** A server of this service's own. */
export interface OwnServer extends HostPort {
  readonly isTls: boolean;
}

/** Imports the file through the service's own front door, if nothing is there yet. So it is checked like any other import. */
export async function seedServer(session: Session, listening: OwnServer, seed: Seed, ownToken: string): Promise<void> {
  const hostPort = toHostPort({ host: reachable(listening.host), port: listening.port });
  const address = listening.isTls ? `https://${hostPort}` : hostPort;
  // The certificate is for the names that clients use, and need not have this address. The port is this service's own.
  const tls = listening.isTls ? { rejectUnauthorized: false } : {};
  const { io, signal, options, output } = session;
  const remote = openRemote({ address, tls, token: ownToken, author: io.userName, signal, clock: io.clock });
  try {
    const response = await sendFlagFile(remote, io.stderr, seed.file, {
      environment: options.environment,
      onlyIfEmpty: true,
      comment: `first start with ${seed.path}`,
      idempotencyKey: io.newIdempotencyKey(),
    });
    const created = response.createdFlags.length;
    if (created > 0) output.note(`imported ${counted(created, "flag")} from ${seed.path}`);
  } catch (error) {
    throw error instanceof ConnectError
      ? toRemoteFailure(error, { address, mayHaveWritten: remote.mayHaveWritten })
      : error;
  } finally {
    remote.close();
  }
}

/** All addresses of the machine are listened on by names that cannot be connected to everywhere. */
function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}
