import { connect } from "node:net";
import type { Clock } from "../base/index.js";
import { CLAIM_ANSWER } from "./claim-server.js";

export interface ProbeOptions {
  /** Whether to wait for a claim that is not decided yet. */
  readonly mayWait: boolean;
  readonly clock: Clock;
}

/** What is behind a socket: a process, and who it says it is; or nobody. */
export type ProbeAnswer = { readonly kind: "alive"; readonly owner: string | undefined } | { readonly kind: "dead" };

/** A process that takes a connection is alive even if it says nothing: it may be stopped, or busy. */
const ANSWER_TIMEOUT_MS = 3_000;

/** Asks the claimant behind the socket at `path`. */
export async function probeClaim(path: string, options: ProbeOptions): Promise<ProbeAnswer> {
  for (;;) {
    const answer = await ask(path, options);
    if (answer.kind !== "given-up") return answer;
    // Its socket may still be there for a moment: ask again.
  }
}

function ask(path: string, { mayWait, clock }: ProbeOptions): Promise<ProbeAnswer | { readonly kind: "given-up" }> {
  return new Promise((resolve) => {
    let text = "";
    let connected = false;
    const socket = connect({ path });
    const finish = (answer: ProbeAnswer | { readonly kind: "given-up" }) => {
      stopTimer();
      socket.destroy();
      resolve(answer);
    };
    const stopTimer = clock.after(ANSWER_TIMEOUT_MS, () => finish({ kind: "alive", owner: undefined }));
    socket.setEncoding("utf8");
    socket.on("connect", () => {
      connected = true;
    });
    socket.on("data", (chunk: string) => {
      text += chunk;
      const owner =
        lineAfter(CLAIM_ANSWER.owner, text) ?? (mayWait ? undefined : lineAfter(CLAIM_ANSWER.candidate, text));
      if (owner !== undefined) finish({ kind: "alive", owner });
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      const dead = error.code === "ECONNREFUSED" || error.code === "ENOENT";
      // It closed its socket while this was waiting to be taken.
      const isReset = error.code === "ECONNRESET" || error.code === "EPIPE";
      // Anything else, such as a socket of another user, is taken for alive: that is the safe side.
      if (!connected && !isReset) finish(dead ? { kind: "dead" } : { kind: "alive", owner: undefined });
    });
    socket.on("close", () => finish({ kind: "given-up" }));
  });
}

function lineAfter(prefix: string, text: string): string | undefined {
  for (const line of text.split("\n").slice(0, -1)) if (line.startsWith(prefix)) return line.slice(prefix.length);
  return undefined;
}
