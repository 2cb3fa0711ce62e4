import type { Logger } from "pino";
import type { Ramp, Targeting } from "../../../gen/flagwire/v1/targeting_pb.js";
import type { Clock, StopTimer } from "../../base/index.js";
import type { RecordId } from "../../store/index.js";
import { putTargeting } from "../admin/records.js";
import type { Writer } from "../admin/writer.js";
import { isRefusal, type OrRefusal, Refusal } from "../refusal.js";
import type { Catalog } from "../state/catalog.js";
import type { Head } from "../state/head.js";
import { TOTAL_WEIGHT } from "./ramp-serve.js";
import { leftMs } from "./ramp-time.js";
import { momentOf, runningRamps, takeStep } from "./take-step.js";

export interface RampRunnerOptions {
  readonly head: Head;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Carries out the steps of ramps when they are due. */
export interface RampRunner {
  /** Ends it. A step that is on its way is carried out or not, as a call that is cut off. */
  stop(): void;
}

/**
 * Any number of them may run on one store: a step is only carried out on the settings that it was decided on, so that one of
 * them does it and the others find it done.
 */
export function openRampRunner(options: RampRunnerOptions): RampRunner {
  return new Runner(options);
}

/** It looks at the ramps at least this often. */
const MAX_WAIT_MS = 3_600_000;
/** When it tries a step again that could not be carried out, such as because the disk is full. */
const RETRY_MS = 60_000;

/** A step that waits for its time. */
interface Waiting {
  readonly id: RecordId;
  readonly ruleId: string;
  readonly moment: string;
  /**
   * On the monotonic clock, worked out when the ramp was first seen so: however the wall clock is set from then on, a step is
   * served for as long as it should be.
   */
  readonly dueMs: number;
}

class Runner implements RampRunner {
  readonly #options: RampRunnerOptions;
  readonly #stop = new AbortController();
  readonly #unsubscribe: () => void;
  #waiting: ReadonlyMap<string, Waiting> = new Map();
  #stopTimer: StopTimer = () => undefined;
  #isAtWork = false;

  constructor(options: RampRunnerOptions) {
    this.#options = options;
    this.#unsubscribe = options.head.ramping.changes.subscribe(() => this.#look());
    this.#look();
  }

  stop(): void {
    this.#stop.abort();
    this.#unsubscribe();
    this.#stopTimer();
  }

  /** Sees what waits now, and sets the timer for the first of it. */
  #look(): void {
    if (this.#stop.signal.aborted || this.#isAtWork) return;
    this.#stopTimer();
    this.#waiting = this.#observe();
    const dueMs = Math.min(...[...this.#waiting.values()].map((one) => one.dueMs));
    if (dueMs === Number.POSITIVE_INFINITY) return;
    const { clock } = this.#options;
    const waitMs = Math.min(Math.max(dueMs - clock.monotonicMs(), 0), MAX_WAIT_MS);
    this.#stopTimer = clock.after(waitMs, () => this.#begin());
  }

  #observe(): ReadonlyMap<string, Waiting> {
    const { head, clock } = this.#options;
    const waiting = new Map<string, Waiting>();
    for (const id of head.ramping.ids) {
      for (const ramp of runningRamps(targetingOf(head.catalog, id))) {
        const { ruleId } = ramp;
        const name = nameOf(id, ruleId);
        const moment = momentOf(ramp);
        const known = this.#waiting.get(name);
        const fresh = () => ({ id, ruleId, moment, dueMs: clock.monotonicMs() + leftMs(ramp, clock.now()) });
        waiting.set(name, known?.moment === moment ? known : fresh());
      }
    }
    return waiting;
  }

  #begin(): void {
    this.#isAtWork = true;
    void this.#carryOutDue().finally(() => {
      this.#isAtWork = false;
      this.#look();
    });
  }

  /** One step at the most of each ramp: the next one has its whole time yet to come. */
  async #carryOutDue(): Promise<void> {
    const nowMs = this.#options.clock.monotonicMs();
    const due = [...this.#waiting.values()].filter(({ dueMs }) => dueMs <= nowMs);
    for (const one of due.sort((a, b) => a.dueMs - b.dueMs)) {
      if (this.#stop.signal.aborted) return;
      if (await this.#carryOut(one)) continue;
      const later = { ...one, dueMs: this.#options.clock.monotonicMs() + RETRY_MS };
      this.#waiting = new Map(this.#waiting).set(nameOf(one.id, one.ruleId), later);
    }
  }

  /** Whether there is nothing left to do of it. */
  async #carryOut(waiting: Waiting): Promise<boolean> {
    const { log } = this.#options;
    const told = { targeting: waiting.id, ...(waiting.ruleId !== "" && { rule: waiting.ruleId }) };
    try {
      const step = await this.#write(waiting);
      if (!isRefusal(step)) log.info({ ...told, revision: String(step.revision) }, `ramp: ${step.comment}`);
      else if (step !== moved) log.warn({ ...told, reason: step.reason }, `a ramp's step has to wait: ${step.message}`);
      return !isRefusal(step) || step === moved || step.code === "CANCELLED";
    } catch (err) {
      log.error({ ...told, err }, "a ramp's step failed");
      return false;
    }
  }

  #write(waiting: Waiting): Promise<OrRefusal<{ readonly revision: bigint; readonly comment: string }>> {
    const { head, writer, clock } = this.#options;
    const { id } = waiting;
    const ramp = findRamp(head.catalog, waiting);
    if (ramp === undefined) return Promise.resolve(moved);
    const comment = describeStep(ramp);
    return writer.write({
      fields: { idempotencyKey: "", comment, dryRun: false },
      fingerprint: "",
      author: "ramp",
      signal: this.#stop.signal,
      draft: (catalog) => {
        const targeting = targetingOf(catalog, id);
        if (targeting === undefined || findRamp(catalog, waiting) === undefined) return moved;
        const after = takeStep(targeting, waiting.ruleId, clock.now());
        return {
          changes: [putTargeting(after)],
          reads: [],
          brokenReason: "FLAG_IN_USE",
          unchecked: true,
          setsRamps: true,
        };
      },
      answer: (_catalog, revision) => ({ revision, comment }),
    });
  }
}

/** Somebody else has carried the step out, or changed the ramp or its flag. */
const moved = new Refusal("ABORTED", "RAMP_MOVED", "the ramp is not at this step any more");

function findRamp(catalog: Catalog, { id, ruleId, moment }: Waiting): Ramp | undefined {
  const ramps = runningRamps(targetingOf(catalog, id));
  return ramps.find((ramp) => ramp.ruleId === ruleId && momentOf(ramp) === moment);
}

function targetingOf(catalog: Catalog, id: RecordId): Targeting | undefined {
  const kind = catalog.record(id)?.kind;
  return kind?.case === "targeting" ? kind.value : undefined;
}

function nameOf(id: RecordId, ruleId: string): string {
  return `${ruleId} ${id}`;
}

/** For history, such as `step 2 of 4: 5% on; the ramp was started by ann`. */
function describeStep({ ruleId, variant, steps, currentStep, startedBy }: Ramp): string {
  const place = ruleId === "" ? "" : ` of rule ${ruleId}`;
  const percent = Number((((steps[currentStep + 1]?.weight ?? 0) / TOTAL_WEIGHT) * 100).toFixed(3));
  return `step ${currentStep + 2} of ${steps.length}${place}: ${percent}% ${variant}; the ramp was started by ${startedBy}`;
}
