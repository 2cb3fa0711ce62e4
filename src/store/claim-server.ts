import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { hostname } from "node:os";
import { WriteGate } from "./write-gate.js";

/** Answers whoever asks about a claim. */
export interface ClaimServer {
  /** Holds writes for whoever asks, until it closes its connection. */
  readonly gate: WriteGate;
  /** The claim holds: tells those who wait. */
  settle(): void;
  close(): Promise<void>;
}

/** The two lines of an answer, each followed by who it is: the claim is being decided, or it holds. */
export const CLAIM_ANSWER = { candidate: "candidate ", owner: "owner " } as const;

/** What a process says that opens the directory for reading, and the answer once nothing is being written. */
export const CLAIM_HOLD = { ask: "hold\n", held: "held\n" } as const;
/**
 * A process that was stopped while it opens must not keep writes away for good. Should it go on after all, LMDB may go back
 * to an earlier transaction, and the owner's next write fails stop: see LmdbTables.
 */
const MAX_HOLD_MS = 5_000;

/** Listens at `path`. Never keeps the process alive. */
export async function openClaimServer(path: string): Promise<ClaimServer> {
  const self = `process ${process.pid} on ${hostname()}\n`;
  const sockets = new Set<Socket>();
  let settled = false;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.unref();
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    socket.setEncoding("utf8").once("data", (said: string) => {
      if (said.startsWith(CLAIM_HOLD.ask)) void hold(socket);
    });
    answer(socket);
  });
  const answer = (socket: Socket) => {
    // Whoever only wants to know goes away by itself.
    if (settled) socket.write(CLAIM_ANSWER.owner + self);
    else socket.write(CLAIM_ANSWER.candidate + self);
  };
  const gate = new WriteGate();
  const hold = async (socket: Socket) => {
    // What waits for the gate keeps the process alive by nothing else.
    socket.ref();
    const letGo = await gate.hold();
    if (socket.destroyed) return letGo();
    socket.once("close", letGo);
    socket.setTimeout(MAX_HOLD_MS, () => socket.destroy());
    socket.write(CLAIM_HOLD.held);
  };
  // Exclusive: in a cluster worker the socket would otherwise belong to the primary process.
  server.listen({ path, exclusive: true });
  await once(server, "listening");
  server.unref();
  // Failing to accept leaves the connection waiting, which is an answer too.
  server.on("error", () => undefined);
  return {
    gate,
    settle() {
      settled = true;
      for (const socket of sockets) answer(socket);
    },
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}
