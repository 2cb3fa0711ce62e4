import type { WatchRequest } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { WatchResponse } from "../../gen/flagwire/v1/watch_pb.js";
import { type Mirror, type MirrorCache, openMirror } from "../../src/client/index.js";
import type { AnswerRecord, MirrorRecord } from "../history-checker/index.js";
import type { Writable } from "../history-checker/sound-run.js";
import type { Chance } from "./chance.js";
import type { Link } from "./network.js";
import { MIRROR_TIMES } from "./plan.js";
import type { SimulatedClock } from "./simulated-clock.js";
import { FOREIGN_EPOCH } from "./tamper.js";

/** What a mirror works with. */
export interface MirrorSetting {
  readonly name: string;
  readonly environment: string;
  readonly link: Link;
  readonly clock: SimulatedClock;
  readonly chance: Chance;
  readonly cache: MirrorCache | undefined;
  readonly violated: (message: string) => void;
}

/** A mirror, and a record of all that it ever showed. */
export class SimulatedMirror {
  readonly record: Writable<MirrorRecord>;
  readonly #setting: MirrorSetting;
  #mirror: Mirror | undefined;
  #newest: WatchResponse | undefined;
  #epoch: string | undefined;
  #isClosed = false;
  #resyncs = 0;

  constructor(setting: MirrorSetting) {
    this.#setting = setting;
    const { name, environment } = setting;
    this.record = { client: name, environment, sightings: [] };
    setting.link.arriving = (message) => {
      // A poll is not asked for more once it has its update: this is the first chance to see what came of that.
      this.look();
      this.#newest = message;
    };
    setting.link.delivered = () => this.look();
    void this.#open();
  }

  get environment(): string {
    return this.#setting.environment;
  }

  get link(): Link {
    return this.#setting.link;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get status(): string {
    return this.#mirror?.status ?? "not open";
  }

  /** Records what it shows, with answers where there is somebody to ask for them. */
  look(flagKey?: string): void {
    const mirror = this.#mirror;
    if (mirror === undefined) return;
    const { revision, digest } = mirror;
    this.#learnEpoch(mirror);
    const sighting = { at: this.#setting.clock.stamp(), epoch: this.#epoch, revision, digest };
    if (flagKey === undefined || revision === 0) this.record.sightings.push(sighting);
    else {
      const answers = ["user-1", "user-2"].map((targetingKey) => answerOf(mirror, flagKey, targetingKey));
      this.record.sightings.push({ ...sighting, keys: mirror.keys(), answers });
    }
  }

  /** A mirror does not tell its epoch: it is that of the newest message, if it shows what that brought. */
  #learnEpoch({ revision, digest }: Mirror): void {
    const { commit, heartbeat } = this.#newest ?? {};
    const position = commit?.position ?? heartbeat?.position;
    if (position === undefined || revision !== Number(position.revision) || position.epoch === FOREIGN_EPOCH) return;
    if (commit === undefined || commit.digest === digest) this.#epoch = position.epoch;
  }

  async close(): Promise<void> {
    this.look();
    this.#isClosed = true;
    await this.#mirror?.close();
  }

  /** What could not be right makes it ask for everything. */
  #checkRequest({ position }: WatchRequest): void {
    const resyncs = this.#mirror?.counts.resyncs ?? 0;
    if (resyncs > this.#resyncs && position !== undefined) this.#setting.violated("it asked for less than everything");
    this.#resyncs = resyncs;
    if (position?.epoch === FOREIGN_EPOCH) this.#setting.violated("it took a delta of another epoch");
  }

  async #open(): Promise<void> {
    const { link, clock, chance, cache, environment } = this.#setting;
    const transport = {
      address: "http://simulated.test",
      watch: (request: WatchRequest, signal: AbortSignal) => {
        this.#checkRequest(request);
        return link.watch(request, signal);
      },
      unref: () => {},
      close: async () => link.cut(),
    };
    const parts = { transport, clock, random: () => chance.number(), ...(cache && { cache }) };
    this.#mirror = await openMirror({ environment, waitForReady: false, ...parts, ...MIRROR_TIMES });
    if (this.#isClosed) await this.#mirror.close();
    for (const event of ["change", "ready", "stale"] as const) this.#mirror.on(event, () => this.look());
  }
}

function answerOf(mirror: Mirror, flagKey: string, targetingKey: string): AnswerRecord {
  const { variant, reason, errorCode } = mirror.details<unknown>(flagKey, undefined, { targetingKey });
  return { flagKey, targetingKey, variant, reason: errorCode ?? reason };
}
