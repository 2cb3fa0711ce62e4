import { type ClientHttp2Session, connect } from "node:http2";
import { fromBinary } from "@bufbuild/protobuf";
import { BulkEvaluateResponseSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { bulkPath, encodeBulkRequests } from "./bulk-flags.js";

/** What the client is asked for; one at a time. */
export type BulkOrder =
  /** One call for every caller: answered by `BulkAnswers`. */
  | { readonly kind: "ask"; readonly address: string }
  /** One call after the other for so long: answered by `BulkLoad`. */
  | { readonly kind: "load"; readonly address: string; readonly durationMs: number };

export interface BulkAnswers {
  /** How many flags answered true, caller by caller. */
  readonly yes: readonly number[];
  /** How many flags answered, in each call. */
  readonly flags: readonly number[];
  /** The first answer as it came, in base64. */
  readonly first: string;
}

export interface BulkLoad {
  readonly calls: number;
  readonly elapsedMs: number;
}

const requests = encodeBulkRequests();
const headers = { ":method": "POST", ":path": bulkPath, "content-type": "application/grpc", te: "trailers" };
const sessions = new Map<string, ClientHttp2Session>();

function sessionOf(address: string): ClientHttp2Session {
  const session = sessions.get(address) ?? connect(`http://${address}`);
  sessions.set(address, session);
  return session;
}

async function askForAll(address: string): Promise<BulkAnswers> {
  const bodies: Buffer[] = [];
  for (const request of requests) bodies.push(await call(sessionOf(address), request));
  const answers = bodies.map((body) => fromBinary(BulkEvaluateResponseSchema, body.subarray(5)).evaluations);
  return {
    yes: answers.map((ofCaller) => ofCaller.filter(({ value }) => value?.kind.value === true).length),
    flags: answers.map((ofCaller) => ofCaller.length),
    first: bodies[0]?.toString("base64") ?? "",
  };
}

async function load(address: string, durationMs: number): Promise<BulkLoad> {
  const session = sessionOf(address);
  const startedAt = performance.now();
  let calls = 0;
  while (performance.now() - startedAt < durationMs) {
    await call(session, requests[calls % requests.length] ?? Buffer.alloc(0));
    calls++;
  }
  return { calls, elapsedMs: performance.now() - startedAt };
}

/** The body of the answer. Rejects unless the status is OK. */
function call(session: ClientHttp2Session, request: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let status: unknown;
    const stream = session.request(headers);
    stream.on("response", (response) => {
      status = response["grpc-status"];
    });
    stream.on("trailers", (trailers) => {
      status = trailers["grpc-status"];
    });
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", reject);
    stream.on("close", () => {
      if (status === "0") resolve(Buffer.concat(chunks));
      else reject(new Error(`a call of ${bulkPath} ended with the status ${String(status)}`));
    });
    stream.end(request);
  });
}

async function obey(order: BulkOrder): Promise<BulkAnswers | BulkLoad> {
  return order.kind === "ask" ? askForAll(order.address) : load(order.address, order.durationMs);
}

process.once("disconnect", () => process.exit());
process.on("message", (order: BulkOrder) => {
  void obey(order).then((result) => process.send?.(result));
});
process.send?.("started");
