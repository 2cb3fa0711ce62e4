import { Durations } from "./durations.js";

/** What a call came by. */
export type MeteredProtocol = "grpc" | "connect" | "grpc-web" | "ofrep";

/** How many numbers gRPC's status codes take, 0 for OK included. */
const CODES = 17;

/** Counts the calls of one method by one protocol, in numbers that stay where they are: it is part of every call. */
export class CallMeter {
  /** Undefined for streams of answers. */
  readonly durations: Durations | undefined;
  readonly #ended = new Float64Array(CODES);
  #started = 0;

  constructor(
    readonly service: string,
    readonly method: string,
    readonly protocol: MeteredProtocol,
    isStream: boolean,
    readonly monotonicMs: () => number,
  ) {
    this.durations = isStream ? undefined : new Durations();
  }

  /** A call has begun. Gives the time for `end`. */
  start(): number {
    this.#started++;
    return this.monotonicMs();
  }

  /** A call has ended with a status code. Called once for each that has begun. */
  end(startedMs: number, code: number): void {
    this.#ended[code] = (this.#ended[code] ?? 0) + 1;
    this.durations?.add(this.monotonicMs() - startedMs);
  }

  get started(): number {
    return this.#started;
  }

  /** How many have ended, by status code. */
  get ended(): Iterable<readonly [code: number, count: number]> {
    return [...this.#ended.entries()].filter(([, count]) => count > 0);
  }

  get inFlight(): number {
    return this.#started - this.#ended.reduce((sum, count) => sum + count, 0);
  }
}
