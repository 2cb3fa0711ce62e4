import type { ServerResponse } from "node:http";
import type { Clock, Random, StopTimer } from "../../base/index.js";
import { HeadCursor, type HeadNews } from "../state/head-cursor.js";
import { type FlagConfig, type FlagConfigs, isSameConfig } from "./flag-configs.js";

export interface EventStreamOptions {
  readonly configs: FlagConfigs;
  readonly environment: string;
  /** The tag that the client has already heard of. */
  readonly lastEventId: string | undefined;
  /** Whether the client may go on listening, and when to look again. */
  readonly access: { readonly isAdmitted: () => boolean; readonly onChange: (listener: () => void) => () => void };
  readonly clock: Clock;
  readonly random: Random;
  /** How long a client may not read, in milliseconds; then `onStalled` is called, which destroys the connection. */
  readonly stallTimeoutMs: number;
  readonly onStalled: () => void;
}

/** After so long without an event a comment tells that the stream lives. */
const SILENCE_MS = 30_000;
/**
 * A client without a tag asked for its flags before it came here. Who asked longer ago than this, in milliseconds, has asked
 * again; who asked since then may have been too early for a change, and is told of it.
 */
const RECENT_MS = 60_000;
/** When a client should come back, in milliseconds, and by how much some should wait longer than others. */
const RETRY_MS = 1_000;
const RETRY_SPREAD_MS = 4_000;

/** Tells one client, as server-sent events, that it should ask for its flags again. Holds no more than it is writing. */
export class EventStream {
  readonly #options: EventStreamOptions;
  readonly #response: ServerResponse;
  readonly #cursor: HeadCursor<FlagConfig>;
  readonly #unsubscribe: () => void;
  #isBlocked = false;
  #stopTimer: StopTimer | undefined;

  constructor(options: EventStreamOptions, response: ServerResponse) {
    const { configs, environment, access, clock, random } = options;
    this.#options = options;
    this.#response = response;
    const read = (): FlagConfig | undefined => configs.of(environment);
    const { announcements } = configs.head;
    this.#cursor = new HeadCursor({ announcements, clock, read, silenceMs: SILENCE_MS }, this.#tell);
    this.#unsubscribe = access.onChange(this.#tell);
    response.on("close", this.#close);
    response.on("error", () => response.destroy());
    response.on("drain", this.#unblock);
    response.writeHead(200, {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      // Proxies that follow nginx pass on what comes, when it comes.
      "x-accel-buffering": "no",
      "x-content-type-options": "nosniff",
    });
    this.#write(`retry: ${RETRY_MS + Math.floor(random() * RETRY_SPREAD_MS)}\n\n`);
    this.#tell();
  }

  readonly #tell = (): void => {
    while (!this.#isBlocked) {
      if (!this.#options.access.isAdmitted()) {
        this.#response.end();
        return;
      }
      const news = this.#cursor.next();
      if (news === undefined) return;
      const text = this.#textOf(news);
      if (text === undefined) {
        this.#response.end();
        return;
      }
      this.#write(text);
    }
  };

  /** Undefined for the end. */
  #textOf(news: HeadNews<FlagConfig>): string | undefined {
    switch (news.kind) {
      case "moved":
        return news.before !== undefined || this.#isNews(news.now) ? news.now.event : `id: ${news.now.tag}\n\n`;
      case "silence":
        return ":\n\n";
      case "gone":
      case "closing":
        return undefined;
    }
  }

  /** Whether the client should hear of the state that it finds. */
  #isNews({ tag, sinceMs }: FlagConfig): boolean {
    const { lastEventId, clock } = this.#options;
    if (lastEventId !== undefined) return !isSameConfig(lastEventId, tag);
    return clock.now() - sinceMs < RECENT_MS;
  }

  #write(text: string): void {
    this.#cursor.told();
    if (this.#response.write(text)) return;
    this.#isBlocked = true;
    this.#stopTimer = this.#options.clock.after(this.#options.stallTimeoutMs, this.#options.onStalled);
  }

  readonly #unblock = (): void => {
    this.#stopTimer?.();
    this.#isBlocked = false;
    this.#tell();
  };

  readonly #close = (): void => {
    this.#stopTimer?.();
    this.#unsubscribe();
    this.#cursor.close();
  };
}
