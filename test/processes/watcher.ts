import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Position, PositionSchema, type WatchResponse } from "../../gen/flagwire/v1/watch_pb.js";
import { type MessageRecord, type StreamEnd, toMessageRecord, toPositionRecord } from "../history-checker/index.js";
import type { Chance } from "./chance.js";
import { connectTo, isStatus } from "./connection.js";
import { pause } from "./pause.js";
import { now } from "./recording.js";
import type { Setting } from "./setting.js";

/** Follows one environment by raw streams, each from where the one before came to, and records every message. */
export class Watcher {
  /** The last commit or heartbeat. */
  position: Position | undefined;
  streams = 0;
  /** Streams that began with everything. */
  fulls = 0;
  /** Aborts when it is to stop where it is; see `run`. */
  #isLive = false;

  constructor(
    readonly name: string,
    readonly environment: string,
    readonly port: number,
    readonly setting: Setting,
    readonly chance: Chance,
    /** One update a stream, as clients behind bad proxies ask for. */
    readonly once = false,
  ) {}

  get revision(): number {
    return Number(this.position?.revision ?? 0n);
  }

  /** It has come to where everybody must come to, and so must its last stream. */
  settle(): void {
    this.#isLive = true;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#follow(signal);
      await pause(this.chance.between(5, 100), signal);
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { recording } = this.setting;
    const connection = connectTo(this.port);
    const gaveUp = new AbortController();
    const stop = (): void => gaveUp.abort();
    signal.addEventListener("abort", stop);
    const messages: MessageRecord[] = [];
    const asked = toPositionRecord(this.position);
    const shownBefore = this.setting.through === undefined ? undefined : recording.shown;
    const { name: client, environment, once } = this;
    const stream = { client: `${client}/${this.streams++}`, environment, asked, once, openedAt: now(), shownBefore };
    const request = { environment, clientName: client, once, ...(this.position && { position: this.position }) };
    // Some streams are left at any time, so that there is much to resume.
    let left = this.chance.happens(0.5) ? this.chance.between(1, 400) : Number.POSITIVE_INFINITY;
    const watchdog = setTimeout(stop, this.setting.silenceMs);
    let end: StreamEnd | undefined;
    try {
      for await (const message of connection.evaluation.watch(request, { signal: gaveUp.signal })) {
        watchdog.refresh();
        messages.push(toMessageRecord(message, now()));
        this.#take(message);
        if (--left <= 0 && !this.#isLive) stop();
      }
      end = { at: now(), how: "ok" };
    } catch (thrown) {
      end = { at: now(), how: howItEnded(ConnectError.from(thrown), gaveUp.signal.aborted) };
    } finally {
      clearTimeout(watchdog);
      signal.removeEventListener("abort", stop);
      connection.drop();
    }
    // What was settled must have come by this stream, unless another one was to bring it.
    const live = this.#isLive && signal.aborted && !once && messages.length > 0;
    recording.streams.push({ ...stream, messages, end, live });
  }

  #take({ begin, commit, heartbeat }: WatchResponse): void {
    if (begin?.kind === 1) this.fulls++;
    const position = commit?.position ?? heartbeat?.position;
    if (position === undefined) return;
    this.position = create(PositionSchema, position);
    this.setting.recording.show(toPositionRecord(position));
  }
}

function howItEnded(error: ConnectError, gaveUp: boolean): StreamEnd["how"] {
  if (gaveUp || !isStatus(error)) return "broken";
  return error.code === Code.Unavailable ? "unavailable" : "failed";
}
