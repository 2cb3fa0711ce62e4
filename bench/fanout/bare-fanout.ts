import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { Server, ServerCredentials, type ServerWritableStream } from "@grpc/grpc-js";
import { monotonicMs } from "../support/monotonic.js";
import { toGrpcFrame } from "../unary/grpc-frame.js";
import { watchPath } from "../watchers/watcher-group.js";

/** What a fan-out is compared with, a process each: `node bare-fanout.js KIND`. */
export type BareKind = "http2" | "grpc-js";

/** A message, in base64, that goes to every stream in one loop. The first one goes to each as it opens. */
export interface BareOrder {
  readonly message: string;
}

/** When the loop began, by the monotonic clock. */
export interface BareWritten {
  readonly startedAtMs: number;
}

let first: Buffer = Buffer.alloc(0);

/** Each returns how a message goes to all. */
function serveHttp2(started: (port: number) => void): (message: Buffer) => void {
  const streams = new Set<ServerHttp2Stream>();
  const server = createServer();
  server.on("stream", (stream: ServerHttp2Stream) => {
    streams.add(stream);
    stream.once("close", () => streams.delete(stream));
    stream.on("error", () => {});
    stream.resume();
    stream.respond({ ":status": 200, "content-type": "application/grpc" });
    stream.write(toGrpcFrame(first));
  });
  server.on("sessionError", () => {});
  server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => started((server.address() as AddressInfo).port));
  return (message) => {
    const frame = toGrpcFrame(message);
    for (const stream of streams) stream.write(frame);
  };
}

function serveGrpc(started: (port: number) => void): (message: Buffer) => void {
  const calls = new Set<ServerWritableStream<Buffer, Buffer>>();
  const identity = (bytes: Buffer): Buffer => bytes;
  const server = new Server({ "grpc.enable_channelz": 0 });
  const watch = {
    path: watchPath,
    requestStream: false,
    responseStream: true,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  };
  server.addService(
    { watch },
    {
      watch: (call: ServerWritableStream<Buffer, Buffer>) => {
        calls.add(call);
        call.on("cancelled", () => calls.delete(call));
        call.on("error", () => {});
        call.write(first);
      },
    },
  );
  server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
    if (error !== null) throw error;
    started(port);
  });
  return (message) => {
    for (const call of calls) call.write(message);
  };
}

const started = (port: number): void => {
  process.send?.({ port });
};
const writeToAll = process.argv[2] === "grpc-js" ? serveGrpc(started) : serveHttp2(started);

process.once("disconnect", () => process.exit());
process.on("message", ({ message }: BareOrder) => {
  const bytes = Buffer.from(message, "base64");
  const startedAtMs = monotonicMs();
  if (first.byteLength === 0) first = bytes;
  else writeToAll(bytes);
  const written: BareWritten = { startedAtMs };
  process.send?.(written);
});
