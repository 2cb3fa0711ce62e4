import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { BoundMethod } from "../bound-method.js";
import { answerCursor, type CursorMethod } from "./cursor-call.js";
import { DeadlineQueue } from "./deadline-queue.js";
import type { StreamDiversion } from "./divert-streams.js";
import { answerForeign, type ForeignStream, isGrpcType } from "./foreign-stream.js";
import type { GrpcHost } from "./grpc-call.js";
import { markUnreadableToken } from "./request-header.js";
import { StreamSweep } from "./stream-sweep.js";
import { answerUnary, type UnaryMethod } from "./unary-call.js";

type RawMethod = UnaryMethod | CursorMethod;
type RawStream = RawMethod | ForeignStream;

/**
 * Which streams are plain unary calls, or plain calls of a method that gives cursors, and how those are answered without
 * grpc-js: that costs more than the answer, and for each stream several times the memory. And which are no gRPC at all.
 */
export class RawStreams implements StreamDiversion<RawStream> {
  readonly #methods = new Map<string | undefined, RawMethod>();
  readonly #foreign: ForeignStream;
  readonly #host: GrpcHost;
  readonly #deadlines: DeadlineQueue;
  readonly #sweep: StreamSweep;

  constructor(host: GrpcHost) {
    this.#host = host;
    this.#foreign = { kind: "foreign", host };
    this.#deadlines = new DeadlineQueue(host.clock);
    this.#sweep = new StreamSweep(host.clock, host.limits.stallTimeoutMs);
  }

  /** Does nothing with a method of another kind. */
  add(bound: BoundMethod): void {
    const observer = this.#host.observers.of(bound.method, "grpc");
    const shared = { host: this.#host, deadlines: this.#deadlines, observer };
    if (bound.kind === "unary") this.#methods.set(`/${bound.name}`, { ...shared, bound, kind: "unary" });
    if (bound.kind !== "server_streaming" || bound.open === undefined) return;
    const { open } = bound;
    this.#methods.set(`/${bound.name}`, { ...shared, bound, kind: "cursor", open, sweep: this.#sweep });
  }

  readonly prepare = markUnreadableToken;

  /** Not for anything out of the ordinary: other content types, compression, other HTTP methods. */
  readonly pick = (headers: IncomingHttpHeaders): RawStream | undefined => {
    const type = headers["content-type"];
    if (!isGrpcType(type)) return this.#foreign;
    const method = this.#methods.get(headers[":path"]);
    if (method === undefined || headers[":method"] !== "POST") return undefined;
    if (type !== "application/grpc" && type !== "application/grpc+proto") return undefined;
    const encoding = headers["grpc-encoding"];
    return encoding === undefined || encoding === "identity" ? method : undefined;
  };

  readonly answer = (picked: RawStream, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void => {
    if (picked.kind === "unary") answerUnary(picked, stream, headers);
    else if (picked.kind === "cursor") answerCursor(picked, stream, headers);
    else answerForeign(picked, stream, headers);
  };
}
