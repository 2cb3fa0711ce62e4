import type { DescMessage, Message } from "@bufbuild/protobuf";
import { serveCursor } from "../cursor-stream.js";
import { environmentNotFound } from "../environment.js";
import type { Evaluation } from "../evaluation-parts.js";
import type { AnswerCursor, ServerStreamHandler } from "../handlers.js";
import { isRefusal, type OrRefusal, Refusal } from "../refusal.js";
import { selectedEnvironment } from "../selected-environment.js";
import { HeadCursor, type HeadNews } from "../state/head-cursor.js";
import { changeEvents } from "./change-events.js";
import type { EncodedMessage } from "./encoded-message.js";
import { type FollowedSnapshots, NO_SNAPSHOTS, type Snapshots } from "./followed-snapshots.js";
import { RecentChanges } from "./recent-changes.js";
import { StreamEvent } from "./stream-event.js";

/** flagd's own. */
const KEEP_ALIVE_MS = 20_000;

const ready = new StreamEvent("provider_ready");
const keepAlive = new StreamEvent("keep_alive");
const shutdown = new StreamEvent("provider_shutdown");

const shuttingDown = new Refusal("UNAVAILABLE", "SHUTTING_DOWN", "the server is shutting down; connect again");

/**
 * The handler of EventStream. Without a selector it tells what changes in any environment that the caller may ask: some
 * clients send theirs with every question, but not here.
 */
export function eventStreamHandler(
  { head, clock }: Evaluation,
  followed: FollowedSnapshots,
  output: DescMessage,
): ServerStreamHandler<Message, Message> {
  const recent = new RecentChanges(head, clock);
  return serveCursor((_request, call, onNews) => {
    const environment = selectedEnvironment(call);
    if (isRefusal(environment)) return environment;
    const names = call.identity?.environments ?? [];
    const read = () => (environment === undefined ? followed.many(names) : followed.one(environment));
    const gone = environmentNotFound(environment ?? "");
    if (read() === undefined) return gone;
    const { announcements } = head;
    const cursor = new HeadCursor({ announcements, clock, read, silenceMs: KEEP_ALIVE_MS }, onNews);
    return new EventCursor(cursor, recent, output, gone);
  });
}

/** The events of one stream. It always ends with a refusal: clients take OK for the end of nothing. */
class EventCursor implements AnswerCursor<Message> {
  readonly #cursor: HeadCursor<Snapshots>;
  readonly #recent: RecentChanges;
  readonly #output: DescMessage;
  /** What it ends with if what it follows is gone. */
  readonly #gone: Refusal;
  #last = NO_SNAPSHOTS;
  /** What is still to be sent, before anything else is asked for. */
  #events: readonly StreamEvent[] = [];
  #sent = 0;
  #ending: Refusal | undefined;

  constructor(cursor: HeadCursor<Snapshots>, recent: RecentChanges, output: DescMessage, gone: Refusal) {
    this.#cursor = cursor;
    this.#recent = recent;
    this.#output = output;
    this.#gone = gone;
  }

  get ended(): boolean {
    return false;
  }

  next(): OrRefusal<EncodedMessage> | undefined {
    while (this.#sent >= this.#events.length) {
      if (this.#ending !== undefined) return this.#ending;
      const news = this.#cursor.next();
      if (news === undefined) return undefined;
      this.#events = this.#toEvents(news);
      this.#sent = 0;
    }
    const event = this.#events[this.#sent++];
    if (!this.#cursor.ended) this.#cursor.told();
    return event?.as(this.#output);
  }

  close(): void {
    this.#cursor.close();
    this.#last = NO_SNAPSHOTS;
    this.#events = [];
  }

  #toEvents(news: HeadNews<Snapshots>): readonly StreamEvent[] {
    const { kind } = news;
    switch (kind) {
      case "moved":
        this.#last = news.now;
        if (news.before !== undefined) return changeEvents(news.before, news.now);
        return [ready, ...this.#recent.events(news.now)];
      case "silence":
        return [keepAlive];
      case "gone":
        this.#ending = this.#gone;
        return changeEvents(this.#last, NO_SNAPSHOTS);
      case "closing":
        this.#ending = shuttingDown;
        return [shutdown];
    }
  }
}
