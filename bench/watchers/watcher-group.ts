import { create, toBinary } from "@bufbuild/protobuf";
import { WatchRequestSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { monotonicMs } from "../support/monotonic.js";
import { toGrpcFrame } from "../unary/grpc-frame.js";
import { RawConnection } from "./raw-connection.js";
import { frameHeaderBytes, toCallHeaders } from "./raw-frames.js";
import type { WatchMessage } from "./watch-reader.js";

export const watchPath = "/flagwire.v1.EvaluationService/Watch";

/** A place in the order of changes, for messages between processes. */
export interface WatchPosition {
  readonly epoch: string;
  readonly revision: number;
}

export interface GroupOptions {
  readonly address: string;
  readonly connections: number;
  /** On each connection. */
  readonly streams: number;
  /** How many connections are being opened at any moment. */
  readonly atATime: number;
  /** Where to go on from. Absent: from the beginning. */
  readonly position?: WatchPosition | undefined;
}

/** How the watchers of a group came to their first update. */
export interface Synced {
  readonly watchers: number;
  readonly position: WatchPosition;
  /** First updates, by kind. */
  readonly fulls: number;
  readonly deltas: number;
  readonly nones: number;
  /** Of all first updates. */
  readonly items: number;
  readonly messages: number;
  /** Of the messages, with gRPC's framing and without HTTP/2's. */
  readonly bytes: number;
  /** Connections that could not be opened, or were lost, and were opened again. */
  readonly failures: number;
  /** When each had its first update whole, by the monotonic clock. */
  readonly atMs: readonly number[];
}

/** How one change came to the watchers of a group. */
export interface Received {
  readonly revision: number;
  /** When it came to each, by the monotonic clock. */
  readonly atMs: readonly number[];
  /** Watchers that were sent a later revision, which includes it, in its place. */
  readonly folded: number;
  /** The bytes that one of them received: frames of HTTP/2, gRPC's prefix, the message. */
  readonly frameBytes: number;
  /** The message, in base64. All the others had the same bytes. */
  readonly message: string;
}

const retryDelayMs = 100;
const grpcHeaderBytes = 5;

interface Expected {
  readonly revision: number;
  readonly atMs: number[];
  folded: number;
  first: Buffer | undefined;
  readonly resolve: (received: Received) => void;
}

/** Watchers of one server in this process. Fails where one of them sees what it must not. */
export class WatcherGroup {
  readonly #connections = new Set<RawConnection>();
  readonly #revisions: Float64Array;
  readonly #syncedAtMs: number[] = [];
  readonly #counts = { fulls: 0, deltas: 0, nones: 0, items: 0, messages: 0, bytes: 0, failures: 0 };
  readonly #resolveSynced: (synced: Synced) => void;
  readonly #host: string;
  readonly #port: number;
  readonly #headers: Buffer;
  readonly #message: Buffer;
  readonly #waiting: number[];
  #isClosed = false;
  #epoch = "";
  #expected: Expected | undefined;
  /** Of the first update of each watcher, until its commit. */
  readonly #kinds: Uint8Array;

  /** When all have their first update. */
  readonly synced: Promise<Synced>;

  constructor(
    readonly options: GroupOptions,
    /** Told once of what must not happen. */
    readonly fail: (problem: Error) => void,
  ) {
    const { address, connections, streams, atATime } = options;
    const [host = "", port = ""] = address.split(":");
    this.#host = host;
    this.#port = Number(port);
    this.#headers = toCallHeaders(address, watchPath);
    this.#message = toGrpcFrame(toBinary(WatchRequestSchema, create(WatchRequestSchema, toRequest(options))));
    this.#revisions = new Float64Array(connections * streams).fill(-1);
    this.#kinds = new Uint8Array(connections * streams);
    this.#waiting = Array.from({ length: connections }, (_, index) => index);
    let resolveSynced: (synced: Synced) => void = () => {};
    this.synced = new Promise((resolve) => {
      resolveSynced = resolve;
    });
    this.#resolveSynced = resolveSynced;
    for (let index = 0; index < Math.min(atATime, connections); index++) this.#openNext();
  }

  /** Waits until every watcher has this revision or a later one. */
  expect(revision: number): Promise<Received> {
    return new Promise((resolve) => {
      this.#expected = { revision, atMs: [], folded: 0, first: undefined, resolve };
    });
  }

  /** From now on nothing that happens to its watchers is looked at. */
  abandon(): void {
    this.#isClosed = true;
  }

  close(): void {
    this.abandon();
    for (const connection of this.#connections) connection.reset();
  }

  #openNext(): void {
    const index = this.#waiting.shift();
    if (index === undefined) return;
    let wasConnected = false;
    const connected = (): void => {
      if (!wasConnected) this.#openNext();
      wasConnected = true;
    };
    this.#open(index, connected);
  }

  #open(index: number, connected: () => void): void {
    if (this.#isClosed) return;
    const { streams } = this.options;
    const first = index * streams;
    const connection = new RawConnection(
      { host: this.#host, port: this.#port, streams, headers: this.#headers, message: this.#message },
      {
        message: (stream, message) => this.#onMessage(first + stream, message),
        ended: (stream) => this.fail(new Error(`watcher ${first + stream} was cut off by the server`)),
        connected,
        closed: () => {
          this.#connections.delete(connection);
          if (!this.#isClosed) this.#onClosed(first, () => this.#open(index, connected));
        },
      },
    );
    this.#connections.add(connection);
  }

  /** Before a connection's first update it is opened again; after it, losing it is a failure. */
  #onClosed(first: number, open: () => void): void {
    const { streams } = this.options;
    if (this.#revisions.subarray(first, first + streams).some((revision) => revision !== -1)) {
      this.fail(new Error(`watchers ${first} to ${first + streams - 1} have lost their connection`));
      return;
    }
    this.#counts.failures++;
    setTimeout(open, retryDelayMs);
  }

  #onMessage(watcher: number, message: WatchMessage): void {
    const before = this.#revisions[watcher] ?? Number.NaN;
    if (message.isGoodbye) this.fail(new Error(`watcher ${watcher} was sent away`));
    else if (before === -1) this.#onFirstUpdate(watcher, message);
    else this.#onNews(watcher, before, message);
  }

  #onNews(watcher: number, before: number, message: WatchMessage): void {
    const { revision } = message;
    if (revision === undefined || revision < before || (revision === before && !message.isHeartbeat)) {
      this.fail(new Error(`watcher ${watcher} was at revision ${before} and was sent ${revision}`));
      return;
    }
    this.#revisions[watcher] = revision;
    const expected = this.#expected;
    if (expected === undefined || before >= expected.revision || revision < expected.revision) return;
    this.#onExpected(expected, watcher, message);
  }

  /** A first update may come in several messages. */
  #onFirstUpdate(watcher: number, message: WatchMessage): void {
    const counts = this.#counts;
    counts.messages++;
    counts.bytes += grpcHeaderBytes + message.sizeBytes;
    counts.items += message.items;
    if (message.kind !== 0) this.#kinds[watcher] = message.kind;
    if (message.revision === undefined) return;
    this.#revisions[watcher] = message.revision;
    this.#epoch = message.epoch ?? "";
    const kind = (["fulls", "deltas", "nones"] as const)[(this.#kinds[watcher] ?? 0) - 1];
    if (kind === undefined) {
      this.fail(new Error(`watcher ${watcher} was sent an update without a beginning`));
      return;
    }
    counts[kind]++;
    this.#syncedAtMs.push(monotonicMs());
    if (this.#syncedAtMs.length < this.#revisions.length) return;
    const position = { epoch: this.#epoch, revision: message.revision };
    this.#resolveSynced({ watchers: this.#revisions.length, position, atMs: this.#syncedAtMs, ...counts });
  }

  #onExpected(expected: Expected, watcher: number, message: WatchMessage): void {
    const { bytes, sizeBytes, revision, kind, items } = message;
    expected.atMs.push(monotonicMs());
    if (revision !== expected.revision) expected.folded++;
    else if (bytes === undefined || kind !== 2 || items !== 1) {
      this.fail(new Error(`watcher ${watcher} was sent ${items} items of kind ${kind} for one change`));
      return;
    } else if (expected.first === undefined) expected.first = Buffer.from(bytes);
    else if (!expected.first.equals(bytes)) {
      this.fail(new Error(`watcher ${watcher} was sent other bytes for revision ${revision} than the first`));
      return;
    }
    if (expected.atMs.length < this.#revisions.length) return;
    this.#expected = undefined;
    expected.resolve({
      revision: expected.revision,
      atMs: expected.atMs,
      folded: expected.folded,
      frameBytes: frameHeaderBytes + grpcHeaderBytes + sizeBytes,
      message: expected.first?.toString("base64") ?? "",
    });
  }
}

function toRequest({ position }: GroupOptions) {
  if (position === undefined) return { clientName: "bench" };
  return { clientName: "bench", position: { epoch: position.epoch, revision: BigInt(position.revision) } };
}
