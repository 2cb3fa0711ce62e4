import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { hostname } from "node:os";

/** Answers whoever asks about a claim. */
export interface ClaimServer {
  /** The claim holds: tells those who wait. */
  settle(): void;
  close(): Promise<void>;
}

/** The two lines of an answer, each followed by who it is: the claim is being decided, or it holds. */
export const CLAIM_ANSWER = { candidate: "candidate ", owner: "owner " } as const;

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
    socket.resume();
    answer(socket);
  });
  const answer = (socket: Socket) => {
    if (settled) socket.end(CLAIM_ANSWER.owner + self);
    else socket.write(CLAIM_ANSWER.candidate + self);
  };
  // Exclusive: in a cluster worker the socket would otherwise belong to the primary process.
  server.listen({ path, exclusive: true });
  await once(server, "listening");
  server.unref();
  // Failing to accept leaves the connection waiting, which is an answer too.
  server.on("error", () => undefined);
  return {
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
