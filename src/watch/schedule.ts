import type { Clock, StopTimer } from "../base/index.js";

/** Something that wants to be called once some time has come. */
export interface Scheduled {
  /** When, on the clock's monotonic time. May move later while it is in a schedule, which then calls no sooner. */
  readonly dueAtMs: number;
  /** Where the schedule keeps it, while it does. The schedule's own. */
  slot: Set<Scheduled> | undefined;
  /** It is in the schedule no longer. */
  due(): void;
}

/**
 * Any number of times to come, on one timer. Times are rounded up to whole ticks, and what is due in the same tick is called
 * together, so that the cost is one of ticks and not of watchers. There is no timer while nothing is scheduled.
 */
export class Schedule {
  readonly #clock: Clock;
  readonly #tickMs: number;
  /** What is due, by the number of the tick. No slot is empty. */
  readonly #slots = new Map<number, Set<Scheduled>>();
  #armedTick = Number.POSITIVE_INFINITY;
  #stopTimer: StopTimer | undefined;

  constructor(clock: Clock, tickMs: number) {
    this.#clock = clock;
    this.#tickMs = tickMs;
  }

  /** Does nothing with what is in it already: that it is due later is noticed when it would have been. */
  add(item: Scheduled): void {
    if (item.slot !== undefined) return;
    const tick = Math.ceil(item.dueAtMs / this.#tickMs);
    let slot = this.#slots.get(tick);
    if (slot === undefined) {
      slot = new Set();
      this.#slots.set(tick, slot);
    }
    slot.add(item);
    item.slot = slot;
    if (tick < this.#armedTick) this.#arm(tick);
  }

  remove(item: Scheduled): void {
    const { slot } = item;
    if (slot === undefined) return;
    item.slot = undefined;
    slot.delete(item);
    if (slot.size > 0) return;
    // At most as many as there are ticks between heartbeats.
    for (const [tick, other] of this.#slots) if (other === slot) this.#slots.delete(tick);
    if (this.#slots.size === 0) this.#disarm();
  }

  #arm(tick: number): void {
    this.#stopTimer?.();
    this.#armedTick = tick;
    const delayMs = tick * this.#tickMs - this.#clock.monotonicMs();
    this.#stopTimer = this.#clock.after(Math.max(0, delayMs), () => this.#sweep(tick));
  }

  #disarm(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    this.#armedTick = Number.POSITIVE_INFINITY;
  }

  #sweep(tick: number): void {
    this.#disarm();
    // A timer may come late, and by a hair early.
    const nowTick = Math.max(tick, Math.floor(this.#clock.monotonicMs() / this.#tickMs));
    for (const [at, slot] of [...this.#slots]) {
      if (at > nowTick) continue;
      this.#slots.delete(at);
      for (const item of slot) {
        item.slot = undefined;
        if (Math.ceil(item.dueAtMs / this.#tickMs) > nowTick) this.add(item);
        else item.due();
      }
    }
    let next = Number.POSITIVE_INFINITY;
    for (const at of this.#slots.keys()) next = Math.min(next, at);
    if (next < this.#armedTick) this.#arm(next);
  }
}
