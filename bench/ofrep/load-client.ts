import { connect, type Socket } from "node:net";
import type { LoadResult } from "../unary/load-client.js";
import { encodeRequests, isRightAnswer, type QuestionKind } from "./requests.js";

/** What a load client is asked for. */
export interface LoadOrder {
  readonly address: string;
  readonly kind: QuestionKind;
  readonly durationMs: number;
  /** Each has one request at a time. */
  readonly connections: number;
}

const lanes = new Map<string, Lane[]>();

/** Keeps every connection busy for the time given. Connections are kept for the next order. */
async function load({ address, kind, durationMs, connections }: LoadOrder): Promise<LoadResult> {
  const name = `${kind} ${address}`;
  const open = lanes.get(name) ?? Array.from({ length: connections }, () => new Lane(address, kind));
  lanes.set(name, open);
  const before = process.cpuUsage();
  const counts = { calls: 0, failures: 0 };
  const deadline = performance.now() + durationMs;
  await Promise.all(open.map((lane) => lane.run(deadline, counts)));
  const { user, system } = process.cpuUsage(before);
  return { ...counts, processorMs: (user + system) / 1000 };
}

/** One connection by bare TCP, with one call after the other. Every status and length is looked at, and some answers. */
class Lane {
  readonly #socket: Socket;
  readonly #kind: QuestionKind;
  readonly #requests: readonly Buffer[];
  #index = Math.floor(Math.random() * 64);
  #isSample = true;
  #received = "";
  #onAnswer: (isRight: boolean) => void = () => {};

  constructor(address: string, kind: QuestionKind) {
    const [host = "", port = ""] = address.split(":");
    this.#kind = kind;
    this.#requests = encodeRequests(kind, address, 64);
    this.#socket = connect({ host, port: Number(port), noDelay: true });
    this.#socket.setEncoding("latin1");
    this.#socket.on("data", (chunk: string) => this.#read(chunk));
    this.#socket.on("error", () => this.#onAnswer(false));
    this.#socket.on("close", () => this.#onAnswer(false));
  }

  run(deadline: number, counts: { calls: number; failures: number }): Promise<void> {
    this.#isSample = true;
    return new Promise((resolve) => {
      this.#onAnswer = (isRight) => {
        const isInTime = performance.now() < deadline;
        if (!isRight) counts.failures++;
        else if (isInTime) counts.calls++;
        // A server that fails is not asked again and again.
        if (isRight && isInTime) this.#ask();
        else resolve();
      };
      this.#ask();
    });
  }

  #ask(): void {
    this.#index = (this.#index + 1) % this.#requests.length;
    this.#socket.write(this.#requests[this.#index] ?? "");
  }

  #read(chunk: string): void {
    this.#received += chunk;
    const bodyAt = this.#received.indexOf("\r\n\r\n") + 4;
    if (bodyAt === 3) return;
    const lengthAt = this.#received.toLowerCase().indexOf("content-length: ") + 16;
    const size = Number.parseInt(this.#received.slice(lengthAt, lengthAt + 8), 10);
    if (this.#received.length < bodyAt + size) return;
    const body = this.#received.slice(bodyAt);
    const isWhole = this.#received.startsWith("HTTP/1.1 200 ") && body.length === size;
    const isRight = isWhole && (!this.#isSample || isRightAnswer(this.#kind, body, this.#index));
    this.#isSample = false;
    this.#received = "";
    this.#onAnswer(isRight);
  }
}

process.once("disconnect", () => process.exit());
process.on("message", (order: LoadOrder) => {
  void load(order).then((result) => process.send?.(result));
});
process.send?.("started");
