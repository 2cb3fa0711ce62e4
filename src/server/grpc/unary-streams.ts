import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { BoundMethod } from "../bound-method.js";
import { DeadlineQueue } from "./deadline-queue.js";
import type { StreamDiversion } from "./divert-streams.js";
import type { GrpcHost } from "./grpc-call.js";
import { markUnreadableToken } from "./request-header.js";
import { answerUnary, type UnaryMethod } from "./unary-call.js";

/** Which streams are plain unary calls, and how those are answered without grpc-js: that costs more than the answer. */
export class UnaryStreams implements StreamDiversion<UnaryMethod> {
  readonly #methods = new Map<string | undefined, UnaryMethod>();
  readonly #host: GrpcHost;
  readonly #deadlines: DeadlineQueue;

  constructor(host: GrpcHost) {
    this.#host = host;
    this.#deadlines = new DeadlineQueue(host.clock);
  }

  add(bound: BoundMethod & { readonly kind: "unary" }): void {
    this.#methods.set(`/${bound.name}`, { bound, host: this.#host, deadlines: this.#deadlines });
  }

  readonly prepare = markUnreadableToken;

  /** Not for anything out of the ordinary: other content types, compression, other HTTP methods. */
  readonly pick = (headers: IncomingHttpHeaders): UnaryMethod | undefined => {
    const method = this.#methods.get(headers[":path"]);
    if (method === undefined || headers[":method"] !== "POST") return undefined;
    const type = headers["content-type"];
    if (type !== "application/grpc" && type !== "application/grpc+proto") return undefined;
    const encoding = headers["grpc-encoding"];
    return encoding === undefined || encoding === "identity" ? method : undefined;
  };

  readonly answer = (method: UnaryMethod, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void => {
    answerUnary(method, stream, headers);
  };
}
