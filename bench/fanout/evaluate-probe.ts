import { connect } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { EvaluateRequestSchema, EvaluateResponseSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { switchedFlag } from "../support/many-flags.js";
import { monotonicMs } from "../support/monotonic.js";
import { toGrpcFrame } from "../unary/grpc-frame.js";
import { evaluatePath } from "../unary/requests.js";

/** Calls Evaluate at fixed times, whether or not the calls before are answered. */
export type ProbeOrder =
  /** Answered by "probing". */
  | { readonly kind: "start"; readonly address: string }
  /** Answered by all calls since the start: `ProbedCall[]`. */
  | { readonly kind: "stop" };

export interface ProbedCall {
  /** When it was due, by the monotonic clock. */
  readonly dueAtMs: number;
  /** From when it was due until its answer. */
  readonly latencyMs: number;
}

const everyMs = 2;
const request = toGrpcFrame(toBinary(EvaluateRequestSchema, create(EvaluateRequestSchema, { flagKey: switchedFlag })));

let stop: () => Promise<ProbedCall[]> = async () => [];

function start(address: string): void {
  const session = connect(`http://${address}`);
  const calls: Promise<ProbedCall>[] = [];
  const headers = { ":method": "POST", ":path": evaluatePath, "content-type": "application/grpc", te: "trailers" };
  const call = (dueAtMs: number): Promise<ProbedCall> =>
    new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      const stream = session.request(headers);
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("error", reject);
      stream.on("close", () => {
        const latencyMs = monotonicMs() - dueAtMs;
        const { flagKey, error } = fromBinary(EvaluateResponseSchema, Buffer.concat(chunks).subarray(5));
        if (flagKey === switchedFlag && error === undefined) resolve({ dueAtMs, latencyMs });
        else reject(new Error("an answer is wrong"));
      });
      stream.end(request);
    });
  let dueAtMs = monotonicMs();
  const timer = setInterval(() => {
    for (const nowMs = monotonicMs(); dueAtMs <= nowMs; dueAtMs += everyMs) calls.push(call(dueAtMs));
  }, 1);
  stop = async () => {
    clearInterval(timer);
    const all = await Promise.all(calls);
    session.destroy();
    return all;
  };
}

process.once("disconnect", () => process.exit());
process.on("message", (order: ProbeOrder) => {
  if (order.kind === "start") {
    start(order.address);
    process.send?.("probing");
  } else {
    void stop().then((calls) => process.send?.(calls));
  }
});
process.send?.("started");
