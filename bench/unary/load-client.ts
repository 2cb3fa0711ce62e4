import { type ClientHttp2Session, connect } from "node:http2";
import { encodeRequests, evaluatePath, isRightAnswer } from "./requests.js";

/** What a load client is asked for. */
export interface LoadOrder {
  readonly address: string;
  readonly durationMs: number;
  readonly connections: number;
  /** Calls at a time on each connection. */
  readonly streams: number;
  /** Whether answers are those of Evaluate, with gRPC's status in trailers; otherwise they are the requests. */
  readonly answers: "evaluate" | "echo";
}

/** What it did. */
export interface LoadResult {
  /** Calls answered within the time. */
  readonly calls: number;
  readonly failures: number;
  /** Processor time that this client used, in milliseconds. */
  readonly processorMs: number;
}

const requests = encodeRequests(64);
const headers = { ":method": "POST", ":path": evaluatePath, "content-type": "application/grpc", te: "trailers" };
const sessions = new Map<string, ClientHttp2Session[]>();

/** Keeps so many calls running for the time given. Connections are kept for the next order. */
async function load(order: LoadOrder): Promise<LoadResult> {
  const { address, durationMs, connections, streams } = order;
  const open = sessions.get(address) ?? Array.from({ length: connections }, () => connect(`http://${address}`));
  sessions.set(address, open);
  const before = process.cpuUsage();
  const counts = { calls: 0, failures: 0 };
  const deadline = performance.now() + durationMs;
  const lanes = open.flatMap((session) =>
    Array.from({ length: streams }, () => runLane(session, order, deadline, counts)),
  );
  await Promise.all(lanes);
  const { user, system } = process.cpuUsage(before);
  return { ...counts, processorMs: (user + system) / 1000 };
}

/** One call after the other. The first answer is decoded; of the others, status and length are looked at. */
function runLane(
  session: ClientHttp2Session,
  { answers }: LoadOrder,
  deadline: number,
  counts: { calls: number; failures: number },
): Promise<void> {
  return new Promise((resolve) => {
    let index = Math.floor(Math.random() * requests.length);
    let isFirst = true;
    const call = (): void => {
      index = (index + 1) % requests.length;
      const request = requests[index] ?? Buffer.alloc(0);
      const checkAnswer = isFirst && answers === "evaluate";
      const chunks: Buffer[] = [];
      let status: unknown;
      let receivedBytes = 0;
      const stream = session.request(headers);
      stream.on("response", (response) => {
        status = response["grpc-status"];
      });
      stream.on("trailers", (trailers) => {
        status = trailers["grpc-status"];
      });
      stream.on("data", (chunk: Buffer) => {
        receivedBytes += chunk.byteLength;
        if (checkAnswer) chunks.push(chunk);
      });
      stream.on("error", () => {});
      stream.on("close", () => {
        const isWhole = answers === "echo" ? receivedBytes === request.byteLength : status === "0" && receivedBytes > 5;
        const isRight = isWhole && (!checkAnswer || isRightAnswer(Buffer.concat(chunks), index));
        isFirst = false;
        if (!isRight) counts.failures++;
        else if (performance.now() < deadline) counts.calls++;
        // A server that fails is not asked again and again.
        if (isRight && performance.now() < deadline) call();
        else resolve();
      });
      stream.end(request);
    };
    call();
  });
}

process.once("disconnect", () => process.exit());
process.on("message", (order: LoadOrder) => {
  void load(order).then((result) => process.send?.(result));
});
process.send?.("started");
