import type { CheckLimits } from "./check-limits.js";
import { ClientState } from "./client-state.js";
import type { CommitLog } from "./commit-log.js";
import type { EnvironmentLog } from "./environment-log.js";
import type { MessageRecord, PositionRecord, StreamEnd, StreamRecord } from "./history.js";
import { addItem, beginUpdate, closeSegment, type OpenUpdate } from "./read-update.js";
import { Findings, type Violation } from "./violation.js";

/** Checks one stream against the log. Returns what it came to: undefined for nothing. */
export function checkStream(
  stream: StreamRecord,
  log: CommitLog,
  limits: CheckLimits,
  violations: Violation[],
): PositionRecord | undefined {
  const reader = new StreamReader(stream, log, limits, new Findings(violations, stream.client));
  for (const message of stream.messages) reader.read(message);
  reader.end();
  return reader.position;
}

class StreamReader {
  position: PositionRecord | undefined;
  #state = new ClientState();
  #open: OpenUpdate | undefined;
  #isOver = false;
  #updates = 0;
  #newestAt: number | undefined;

  constructor(
    readonly stream: StreamRecord,
    readonly log: CommitLog,
    readonly limits: CheckLimits,
    readonly findings: Findings,
  ) {}

  read(message: MessageRecord): void {
    const { at, begin, items, commit, heartbeat, goodbye } = message;
    if (this.#isOver) this.findings.add("ended", "a message came after a goodbye", at);
    this.#checkPace(at);
    if (begin !== undefined) this.#begin(begin, at);
    if (this.#open === undefined && (items.length > 0 || commit !== undefined)) {
      this.findings.add("atomic", "items or a commit came without a begin", at);
    }
    if (this.#open !== undefined) {
      if (heartbeat !== undefined || goodbye !== undefined)
        this.findings.add("atomic", "something came within an update", at);
      for (const item of items) addItem(this.#open, item, this.stream.environment, this.findings, at);
      if (commit !== undefined) this.#commit(this.#open, commit, at);
    }
    if (heartbeat !== undefined) this.#bookmark(heartbeat, at);
    if (goodbye !== undefined) this.#goodbye(goodbye, at);
  }

  end(): void {
    const { end } = this.stream;
    if (end === undefined) return;
    this.#checkLastSilence(end.at);
    this.#checkStatus(end);
  }

  #checkLastSilence(endedAt: number): void {
    const { once, unhindered, openedAt } = this.stream;
    if (!unhindered || once || this.#isOver) return;
    const limit = this.#newestAt === undefined ? this.limits.firstMessageMs : this.limits.heartbeatMs;
    const silentMs = endedAt - (this.#newestAt ?? openedAt);
    if (silentMs > limit) this.findings.add("prompt", `nothing came for the last ${silentMs} ms`, endedAt);
  }

  #checkStatus({ how, at }: StreamEnd): void {
    const isAnswered = this.stream.once === true && this.#updates === 1;
    if (how === "ok" && !isAnswered) this.findings.add("ended", "it ended with OK", at);
    if (how === "unavailable" && !this.#isOver) this.findings.add("ended", "it ended without a goodbye", at);
    if (how === "failed") this.findings.add("ended", "it ended with another status than UNAVAILABLE", at);
    if (this.#open !== undefined && how !== "broken") this.findings.add("atomic", "it ended within an update", at);
  }

  #begin(kind: OpenUpdate["kind"], at: number): void {
    if (this.#open !== undefined) this.findings.add("atomic", "an update began within another", at);
    if (kind === "unknown") this.findings.add("atomic", "an update is of no known kind", at);
    this.#open = beginUpdate(kind);
  }

  #commit(update: OpenUpdate, { position, digest }: NonNullable<MessageRecord["commit"]>, at: number): void {
    closeSegment(update, this.findings, at);
    this.#open = undefined;
    this.#updates++;
    if (position === undefined) {
      this.findings.add("atomic", "a commit has no position", at);
      return;
    }
    const environment = this.#locate(position, at);
    const isFirst = this.position === undefined;
    const from = this.position ?? this.stream.asked;
    if (isFirst) this.#checkFirst(update, position, at);
    else this.#checkLater(update, position, at);
    if (environment !== undefined) this.#apply(update, from, position, environment, isFirst, at);
    if (!isFirst && from !== undefined && environment !== undefined) this.#checkDelay(from, position, environment, at);
    this.#checkDigest(environment, position, digest, at);
    this.position = position;
  }

  #checkDigest(
    environment: EnvironmentLog | undefined,
    { revision }: PositionRecord,
    digest: string,
    at: number,
  ): void {
    const logged = environment?.at(revision);
    if (logged === undefined || logged.digest === digest) return;
    this.findings.add("digest", `at revision ${revision} it is ${digest} and should be ${logged.digest}`, at);
  }

  /** Applies the update and compares with the log. */
  #apply(
    update: OpenUpdate,
    from: PositionRecord | undefined,
    to: PositionRecord,
    environment: EnvironmentLog,
    isFirst: boolean,
    at: number,
  ): void {
    if (update.kind === "full") this.#state = new ClientState();
    else if (isFirst) {
      // What the client held at the position that it asked for. Another epoch's is refused elsewhere.
      const known = from !== undefined && from.epoch === to.epoch && environment.at(from.revision) !== undefined;
      this.#state = known ? ClientState.of(environment, from.revision) : new ClientState();
    }
    if (update.kind !== "full" && from?.epoch === to.epoch) this.#checkTouched(update, from, to, environment, at);
    for (const [id, version] of update.items) this.#state.set(id, version);
    const logged = environment.at(to.revision);
    if (logged === undefined || logged.content === this.#state.content) return;
    const property = isFirst && update.kind !== "full" ? "resumable" : "reliable";
    const differences = this.#state.differences(environment, to.revision);
    this.findings.add(property, `after ${update.kind} at revision ${to.revision} ${differences}`, at);
    // Once is enough: what follows is judged from what should be.
    this.#state = ClientState.of(environment, to.revision);
  }

  #checkTouched(
    update: OpenUpdate,
    from: PositionRecord,
    to: PositionRecord,
    environment: EnvironmentLog,
    at: number,
  ): void {
    for (const id of update.items.keys()) {
      if (environment.wasTouched(id, from.revision, to.revision)) continue;
      const range = `between revisions ${from.revision} and ${to.revision}`;
      this.findings.add("unique", `${id} was sent although nothing changed it ${range}`, at);
    }
  }

  #checkDelay(from: PositionRecord, to: PositionRecord, environment: EnvironmentLog, at: number): void {
    const first = environment.firstTouched(from.revision);
    const durableAt = first === undefined ? undefined : this.log.epochs.get(to.epoch)?.commit(first)?.durableAt;
    if (durableAt === undefined || !this.stream.unhindered) return;
    const delayMs = at - Math.max(durableAt, this.stream.openedAt);
    if (delayMs > this.limits.changeMs) this.findings.add("prompt", `revision ${first} took ${delayMs} ms`, at);
  }

  #checkFirst({ kind, items }: OpenUpdate, to: PositionRecord, at: number): void {
    const { asked, openedAt, shownBefore } = this.stream;
    if (shownBefore?.epoch === to.epoch && to.revision < shownBefore.revision) {
      this.findings.add("fresh", `it began at revision ${to.revision}, after ${shownBefore.revision} was shown`, at);
    }
    if (kind === "full") {
      const isEarly =
        asked?.epoch === to.epoch && asked.revision > to.revision && at - openedAt < this.limits.catchUpMs;
      if (isEarly) this.findings.add("resynced", `revision ${asked.revision} was not waited for`, at);
      return;
    }
    if (asked === undefined) this.findings.add("resynced", `a ${kind} came where nothing was asked for`, at);
    else if (asked.epoch !== to.epoch)
      this.findings.add("resynced", `a ${kind} came for a position of another epoch`, at);
    else if (asked.revision > to.revision)
      this.findings.add("resynced", `a ${kind} came for a position in the future`, at);
    else if (kind === "none" && (asked.revision !== to.revision || items.size > 0)) {
      this.findings.add("resumable", `none came at revision ${to.revision} for ${asked.revision}`, at);
    }
  }

  #checkLater({ kind }: OpenUpdate, to: PositionRecord, at: number): void {
    const from = this.position;
    if (from === undefined) return;
    if (kind === "none") this.findings.add("resumable", "none came after the first update", at);
    if (to.epoch !== from.epoch) {
      if (kind !== "full") this.findings.add("resynced", `a ${kind} came from another epoch`, at);
      return;
    }
    if (to.revision < from.revision)
      this.findings.add("ordered", `revision ${to.revision} came after ${from.revision}`, at);
    if (to.revision === from.revision) this.findings.add("unique", `revision ${to.revision} came twice`, at);
  }

  #bookmark({ position, digest }: NonNullable<MessageRecord["heartbeat"]>, at: number): void {
    const from = this.position;
    if (from === undefined) {
      this.findings.add("atomic", "a heartbeat came before the first update", at);
      return;
    }
    if (position?.epoch !== from.epoch) {
      this.findings.add("bookmarkable", "a heartbeat has no position, or one of another epoch", at);
      return;
    }
    if (position.revision < from.revision) {
      this.findings.add("ordered", `a heartbeat at revision ${position.revision} came after ${from.revision}`, at);
      return;
    }
    const environment = this.#locate(position, at);
    const logged = environment?.at(position.revision);
    if (environment !== undefined && logged !== undefined && logged.content !== this.#state.content) {
      const differences = this.#state.differences(environment, position.revision);
      this.findings.add("bookmarkable", `at the heartbeat of revision ${position.revision} ${differences}`, at);
      this.#state = ClientState.of(environment, position.revision);
    }
    if (digest !== undefined) this.#checkDigest(environment, position, digest, at);
    this.position = position;
  }

  #goodbye(reason: string, at: number): void {
    this.#isOver = true;
    if (reason !== "ENVIRONMENT_DELETED") return;
    const { environment, shownBefore } = this.stream;
    const from = this.position ?? shownBefore;
    // Where it is not known which server spoke, there may always have been none.
    const log = from && this.log.epochs.get(from.epoch)?.environment(environment);
    const absent = from === undefined || log === undefined || log.wasAbsentSince(from.revision);
    if (!absent) this.findings.add("ended", `environment ${environment} was said to be deleted, and was not`, at);
  }

  /** The environment at a position that must be in the log, and durable by now. */
  #locate({ epoch, revision }: PositionRecord, at: number): EnvironmentLog | undefined {
    const log = this.log.epochs.get(epoch);
    if (log === undefined || revision > log.newest) {
      this.findings.add("durable", `revision ${revision} of epoch ${epoch} was sent, and never was`, at);
      return undefined;
    }
    const durableAt = log.commit(revision)?.durableAt;
    if (durableAt !== undefined && durableAt > at) {
      this.findings.add("durable", `revision ${revision} was sent before it was durable`, at);
    }
    const environment = log.environment(this.stream.environment);
    if (environment?.at(revision)?.exists === true) return environment;
    this.findings.add("filter-correct", `at revision ${revision} there was no such environment`, at);
    return undefined;
  }

  #checkPace(at: number): void {
    const { unhindered, openedAt } = this.stream;
    const { firstMessageMs, heartbeatMs } = this.limits;
    const isFirst = this.#newestAt === undefined;
    const silentMs = at - (this.#newestAt ?? openedAt);
    this.#newestAt = at;
    const limit = isFirst ? firstMessageMs : heartbeatMs;
    if (unhindered && silentMs > limit) this.findings.add("prompt", `it said nothing for ${silentMs} ms`, at);
  }
}
