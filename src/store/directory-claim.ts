import { randomBytes } from "node:crypto";
import { type FileHandle, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../base/index.js";
import { type ClaimServer, openClaimServer } from "./claim-server.js";
import { BEGUN_CLAIM_NAME, CLAIM_NAME, pipePath, socketPath } from "./claim-socket.js";
import { probeClaim } from "./probe-claim.js";
import { type OrStoreProblem, StoreProblem, toStoreProblem } from "./store-problem.js";
import type { WriteGate } from "./write-gate.js";

/** The sockets of claims that this process holds, or is deciding. */
const ownNames = new Set<string>();

/** Whether it is this process that listens at the socket `name`. */
export function isOwnClaim(name: string): boolean {
  return ownNames.has(name);
}

/** Sole ownership of a data directory, until released or until the process ends, however it ends. */
export interface DirectoryClaim {
  /** Held while another process opens the directory: write to it, and rename in it, inside this. */
  readonly gate: WriteGate;
  release(): Promise<void>;
}

/**
 * Claims a directory. LMDB's own lock does not keep two servers apart, and a process id in a file tells nothing across
 * containers. A listening socket does: the kernel closes it with its process.
 *
 * Each claimant puts a socket `owner-<random>.sock` into the directory first, already listening, and then asks every other
 * one there. One that refuses the connection is dead and is removed. One whose owner is still asking others itself is waited
 * for by the claimant with the lower name, and makes the other give up. So of two claimants at least the later one sees the
 * earlier, the waiting has no circles, and no name is ever used twice. Both must run on the same kernel, as for LMDB.
 */
export async function claimDirectory(path: string, clock: Clock): Promise<OrStoreProblem<DirectoryClaim>> {
  if (process.platform === "win32") return claimPipe(path);
  const name = `owner-${randomBytes(16).toString("hex")}.sock`;
  let claim: SocketClaim | undefined;
  try {
    claim = await SocketClaim.open(path, name);
    const problem = await claim.settle(clock);
    if (problem) await claim.release();
    return problem ?? claim;
  } catch (cause) {
    await claim?.release();
    return toClaimProblem(path, cause);
  }
}

class SocketClaim implements DirectoryClaim {
  readonly #path: string;
  readonly #name: string;
  readonly #directory: FileHandle;
  readonly #server: ClaimServer;

  private constructor(path: string, name: string, directory: FileHandle, server: ClaimServer) {
    this.#path = path;
    this.#name = name;
    this.#directory = directory;
    this.#server = server;
  }

  /** Shows a socket in the directory, already listening: one that is bound but not yet listening would look dead. */
  static async open(path: string, name: string): Promise<SocketClaim> {
    const directory = await open(path, "r");
    let server: ClaimServer | undefined;
    try {
      server = await openClaimServer(socketPath(path, directory, `${name}.new`));
      ownNames.add(name);
      await rename(join(path, `${name}.new`), join(path, name));
      return new SocketClaim(path, name, directory, server);
    } catch (cause) {
      ownNames.delete(name);
      await server?.close();
      await directory.close();
      throw cause;
    }
  }

  get gate(): WriteGate {
    return this.#server.gate;
  }

  /** Asks all others. Undefined: the directory is ours. */
  async settle(clock: Clock): Promise<StoreProblem | undefined> {
    for (const other of await readdir(this.#path)) {
      if (other === this.#name || !CLAIM_NAME.test(other)) continue;
      const answer = await probeClaim(socketPath(this.#path, this.#directory, other), {
        mayWait: this.#name < other,
        clock,
      });
      if (answer.kind === "alive") return inUse(this.#path, answer.owner);
      await rm(join(this.#path, other), { force: true });
    }
    this.#server.settle();
    // Left by claimants that were killed; one that is still alive fails at its rename.
    for (const begun of await readdir(this.#path)) {
      if (BEGUN_CLAIM_NAME.test(begun)) await rm(join(this.#path, begun), { force: true });
    }
    return undefined;
  }

  async release(): Promise<void> {
    await rm(join(this.#path, this.#name), { force: true });
    await this.#server.close();
    ownNames.delete(this.#name);
    await this.#directory.close();
  }
}

/** Windows opens a named pipe for its first server only, and closes it with the process. */
async function claimPipe(path: string): Promise<OrStoreProblem<DirectoryClaim>> {
  try {
    const server = await openClaimServer(pipePath(path));
    server.settle();
    return { gate: server.gate, release: () => server.close() };
  } catch (cause) {
    return toClaimProblem(path, cause);
  }
}

function inUse(path: string, owner: string | undefined): StoreProblem {
  const who = owner === undefined ? "another process" : owner;
  return new StoreProblem("in-use", `${path} is in use by ${who}: stop that one, or choose another data directory.`);
}

function toClaimProblem(path: string, cause: unknown): StoreProblem {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  // The rename finds its socket gone: an owner has cleaned up.
  if (code === "ENOENT" || code === "EADDRINUSE") return inUse(path, undefined);
  if (code === "ENOTSUP" || code === "EOPNOTSUPP" || code === "EINVAL" || code === "ENAMETOOLONG") {
    return new StoreProblem(
      "unsupported",
      `${path} cannot hold the socket that keeps a second server out (${code}): choose a shorter path on a local file system.`,
      cause,
    );
  }
  return toStoreProblem(path, cause);
}
