import { type FileHandle, open, readdir } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { basename } from "node:path";
import { systemClock } from "../base/index.js";
import { CLAIM_HOLD } from "./claim-server.js";
import { CLAIM_NAME, pipePath, socketPath } from "./claim-socket.js";
import { codeOf } from "./directories.js";
import { isOwnClaim } from "./directory-claim.js";
import { isStoreProblem, type OrStoreProblem, StoreProblem } from "./store-problem.js";

/** An owner finishes what it is writing first, and may have to wait for its disk. */
const HELD_TIMEOUT_MS = 30_000;

/**
 * Runs `action`, which opens the directory, while its owner, if it has one, writes nothing: see `WriteGate`. An owner that
 * may be alive and does not agree is a problem, because nobody knows what it writes. So is one in another container that has
 * this process's id: LMDB tells readers apart by their ids, and lmdb ends the process where it cannot.
 */
export async function whileHeld<T>(path: string, action: () => Promise<OrStoreProblem<T>>): Promise<OrStoreProblem<T>> {
  const directory = await open(path, "r").catch(() => undefined);
  const held: Socket[] = [];
  try {
    for (const socket of await ownersOf(path, directory)) {
      const holding = await hold(path, socket);
      if (isStoreProblem(holding)) return holding;
      if (holding !== undefined) held.push(holding);
    }
    return await action();
  } finally {
    for (const socket of held) socket.destroy();
    await directory?.close();
  }
}

/** Where those listen who have claimed the directory, or are about to. What cannot be read has no owner that is known. */
async function ownersOf(path: string, directory: FileHandle | undefined): Promise<string[]> {
  if (process.platform === "win32") return [pipePath(path)];
  if (directory === undefined) return [];
  const names = await readdir(path).catch(() => []);
  return names.filter((name) => CLAIM_NAME.test(name)).map((name) => socketPath(path, directory, name));
}

/** Writes are held until the socket that this gives is destroyed. Undefined: nobody is there, or not any more. */
function hold(path: string, socketPath: string): Promise<Socket | undefined | StoreProblem> {
  return new Promise((resolve) => {
    const socket = connect({ path: socketPath });
    let text = "";
    let error: unknown;
    const finish = (result: Socket | undefined | StoreProblem) => {
      stopTimer();
      if (result !== socket) socket.destroy();
      resolve(result);
    };
    const stopTimer = systemClock.after(HELD_TIMEOUT_MS, () => finish(unheld(path, "does not answer")));
    socket.setEncoding("utf8");
    socket.write(CLAIM_HOLD.ask);
    socket.on("data", (chunk: string) => {
      text += chunk;
      const namesake = NAMESAKE.exec(text);
      if (namesake?.[1] === String(process.pid) && !isOwnClaim(basename(socketPath))) finish(sameId(path, namesake[2]));
      else if (text.includes(CLAIM_HOLD.held)) finish(socket);
    });
    socket.on("error", (cause) => {
      error = cause;
    });
    socket.on("close", () => {
      const isGone = error === undefined || GONE.has(codeOf(error));
      finish(isGone ? undefined : unheld(path, `cannot be asked (${String(codeOf(error))})`));
    });
  });
}

/** A socket that nobody listens at, and one whose owner goes away. */
const GONE = new Set<unknown>(["ECONNREFUSED", "ENOENT", "ECONNRESET", "EPIPE"]);

/** Who answers, and on which host. */
const NAMESAKE = /^(?:owner|candidate) process (\d+) on (.*)\n/m;

function sameId(path: string, host: string | undefined): StoreProblem {
  const who = `process ${process.pid} on ${host}`;
  return new StoreProblem(
    "in-use",
    `${path} is in use by ${who}, and this is another process ${process.pid}: they cannot share it from containers that count processes apart. Run this in the same container, such as with "docker exec".`,
  );
}

function unheld(path: string, why: string): StoreProblem {
  return new StoreProblem(
    "in-use",
    `${path} is in use by a process that ${why}, so it cannot be opened safely: be the same user, and try again when that process runs.`,
  );
}
