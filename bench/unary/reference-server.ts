import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { Server, ServerCredentials, type sendUnaryData } from "@grpc/grpc-js";
import { evaluatePath } from "./requests.js";

/** What the figures are compared with, a process each: `node reference-server.js KIND`. Each answers a call with its request. */
export type ReferenceKind = "echo" | "echo-with-trailers" | "grpc-js";

async function listen(kind: string): Promise<number> {
  switch (kind) {
    case "echo":
      return listenHttp2(false);
    case "echo-with-trailers":
      return listenHttp2(true);
    case "grpc-js":
      return listenGrpc();
    default:
      throw new Error(`there is no reference ${kind}`);
  }
}

function listenHttp2(withTrailers: boolean): Promise<number> {
  const server = createServer();
  server.on("stream", (stream: ServerHttp2Stream) => {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: withTrailers });
      stream.end(Buffer.concat(chunks));
    });
    if (withTrailers) stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

/** grpc-js alone: the same wire, with a handler that does nothing. */
function listenGrpc(): Promise<number> {
  const identity = (bytes: Buffer): Buffer => bytes;
  const server = new Server({ "grpc.enable_channelz": 0 });
  server.addService(
    {
      evaluate: {
        path: evaluatePath,
        requestStream: false,
        responseStream: false,
        requestSerialize: identity,
        requestDeserialize: identity,
        responseSerialize: identity,
        responseDeserialize: identity,
      },
    },
    { evaluate: (call: { readonly request: Buffer }, send: sendUnaryData<Buffer>) => send(null, call.request) },
  );
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
  });
}

process.once("disconnect", () => process.exit());
process.send?.({ port: await listen(process.argv[2] ?? "") });
