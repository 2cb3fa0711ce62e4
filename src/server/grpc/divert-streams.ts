import type { Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Server } from "@grpc/grpc-js";

/** Takes the streams of some calls away from grpc-js. */
export interface StreamDiversion<T> {
  /** Changes the headers of any stream before anybody reads them. Must not throw. */
  readonly prepare: (headers: IncomingHttpHeaders) => void;
  /** What to do with a stream, by its headers; undefined leaves it to grpc-js. Must not throw. */
  readonly pick: (headers: IncomingHttpHeaders) => T | undefined;
  /** Answers a stream that was picked. Must not throw. */
  readonly answer: (picked: T, stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;
}

type StreamListener = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  flags: number,
  rawHeaders: string[],
) => void;

/** What grpc-js keeps to itself, of what is used here. The one place that knows it. */
interface Internals {
  /** The servers that speak HTTP/2 on the connections that are injected. */
  readonly http2Servers?: unknown;
  /** Counts a call as running until its stream is closed: its connection is not idle meanwhile. */
  readonly onStreamOpened?: unknown;
}

/**
 * Diverts streams of a grpc-js server that has made its only connection injector. Everything else about the connections
 * stays grpc-js's: their keepalive, their idle time, in which diverted calls count, and how they are shut down.
 *
 * False where grpc-js is not built as expected; then nothing was changed. There is no public way to one stream: docs/decisions
 * has what was weighed.
 */
export function divertStreams<T>(server: Server, { prepare, pick, answer }: StreamDiversion<T>): boolean {
  const { http2Servers, onStreamOpened } = server as unknown as Internals;
  if (!(http2Servers instanceof Map) || http2Servers.size !== 1 || typeof onStreamOpened !== "function") return false;
  const [http2] = http2Servers.keys() as Iterable<Http2Server>;
  const listeners = typeof http2?.listeners === "function" ? http2.listeners("stream") : [];
  const [listener] = listeners as StreamListener[];
  if (http2 === undefined || listener === undefined || listeners.length !== 1) return false;
  http2.off("stream", listener);
  http2.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, rawHeaders: string[]) => {
    // Reset, or its connection gone, in the same piece as it came: nobody is told of that again, answering throws, and its error
    // would be nobody's and end the process.
    if (stream.closed || stream.destroyed) {
      stream.on("error", ignore).destroy();
      return;
    }
    prepare(headers);
    const picked = pick(headers);
    if (picked === undefined) {
      // grpc-js leaves one of a wrong content type without a listener; the error of a connection that breaks would end the process.
      stream.on("error", ignore);
      listener.call(http2, stream, headers, flags, rawHeaders);
      return;
    }
    onStreamOpened.call(server, stream);
    answer(picked, stream, headers);
  });
  return true;
}

function ignore(): void {}
