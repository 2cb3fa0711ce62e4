import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { GrpcHost } from "./grpc-call.js";

/** What a stream is that carries no gRPC. */
export interface ForeignStream {
  readonly kind: "foreign";
  readonly host: Pick<GrpcHost, "clock" | "limits">;
}

const HINT = JSON.stringify({
  code: "unimplemented",
  message: "over HTTP/2 this server answers gRPC alone; call Connect, gRPC-Web, JSON, OFREP and health over HTTP/1.1",
});

/** Whether a content type is gRPC's. grpc-js takes gRPC-Web for it too, whose clients then find no trailers in the body. */
export function isGrpcType(contentType: string | undefined): boolean {
  return contentType?.startsWith("application/grpc") === true && !contentType.startsWith("application/grpc-web");
}

/**
 * Answers what is no gRPC with 415, as gRPC's rules have it, and with what to do. grpc-js says nothing beside the status, and resets
 * the stream while its body still comes, which some clients take for a broken connection; here the body is read to its end.
 */
export function answerForeign({ host }: ForeignStream, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const stopTimer = host.clock.after(host.limits.stallTimeoutMs, () => stream.close(constants.NGHTTP2_NO_ERROR));
  stream.on("error", ignore);
  stream.once("close", stopTimer);
  stream.resume();
  const endStream = headers[":method"] === "HEAD";
  stream.respond(
    {
      ":status": 415,
      "content-type": "application/json",
      "content-length": Buffer.byteLength(HINT),
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    },
    { endStream },
  );
  if (!endStream) stream.end(HINT);
}

function ignore(): void {}
