import { create } from "@bufbuild/protobuf";
import { type FlagState, PositionSchema } from "../../gen/flagwire/v1/watch_pb.js";
import {
  type Clock,
  type Flags,
  type FlagUsage,
  Follower,
  Listeners,
  type MirrorCounts,
  MirrorError,
  type MirrorEvents,
  type MirrorStatus,
  type PinnedFlags,
  SnapshotFlags,
  type SnapshotSource,
  type Unsubscribe,
  type WaitOptions,
} from "../client/index.js";
import { emptySnapshot, fromValue } from "../engine/index.js";
import { AskedFlags, type Question } from "./asked-flags.js";
import { AskedKeys, flagNotFound, noFlag } from "./asked-keys.js";
import { flagOf, isSameFlags, killed, redefined, revived, type SetOptions, serving } from "./flag-state.js";
import { isCompute, Overrides } from "./overrides.js";
import { PinnedTestFlags } from "./pinned-test-flags.js";
import type { Definitions } from "./read-definitions.js";
import { type Compute, OVERRIDE_VARIANT, type ShownFlag, ShownFlags } from "./shown-flags.js";
import { SyncWaits } from "./sync-waits.js";
import type { KillOptions, Outage, OutageOptions, Override, TestFlags } from "./test-flags.js";
import type { TestValue, VariantName, VariantValues } from "./test-value.js";

/** What flags in memory are made of. */
export interface MemoryFlagsParts {
  readonly definitions: Definitions;
  readonly environment: string;
  readonly isStrict: boolean;
  readonly clock: Clock;
}

type States = ReadonlyMap<string, FlagState>;

/** A mirror without a server: the two of them in one, with what a test says in between. */
export class MemoryFlags extends AskedFlags implements TestFlags {
  readonly #parts: MemoryFlagsParts;
  readonly #shown: ShownFlags;
  readonly #overrides = new Overrides();
  readonly #keys: AskedKeys;
  readonly #waits: SyncWaits;
  readonly #listeners: Listeners<MirrorEvents>;
  /** Without data: what is answered from before anything came. */
  readonly #nothing: Follower;
  readonly #noAnswers: SnapshotFlags;
  /** As on the server. */
  #definitions: States;
  /** As they came last. */
  #held: States;
  /** The server's. */
  #newest = 1n;
  #deltas = 0;
  #status: MirrorStatus = "ready";

  constructor(parts: MemoryFlagsParts) {
    super();
    this.#parts = parts;
    const { environment, clock, definitions, isStrict } = parts;
    this.#nothing = new Follower(environment);
    this.#noAnswers = new SnapshotFlags(this.#nothing, clock, []);
    this.#keys = new AskedKeys(isStrict);
    this.#waits = new SyncWaits(clock, () => `the flags are ${this.status}, at revision ${this.revision}`);
    this.#listeners = new Listeners((event, thrown) => this.#listenerFailed(event, thrown));
    this.#definitions = definitions.flags;
    this.#held = definitions.flags;
    const position = positionAt(this.#newest);
    const start = emptySnapshot(environment).apply("full", definitions.segments, position);
    this.#shown = new ShownFlags(start, clock);
    this.#shown.show(this.#wanted(this.#held), position);
    this.#waits.reached(position);
  }

  get environment(): string {
    return this.#parts.environment;
  }

  get status(): MirrorStatus {
    return this.#status;
  }

  get revision(): number {
    return Number(this.#source.snapshot.position.revision);
  }

  get digest(): string {
    return this.#source.snapshot.digest;
  }

  get counts(): MirrorCounts {
    return { attempts: 1, polls: 0, fulls: 1, deltas: this.#deltas, nones: 0, resyncs: 0 };
  }

  get delivery(): "stream" {
    return "stream";
  }

  get asked(): readonly string[] {
    return this.#keys.asked;
  }

  get unknown(): readonly string[] {
    return this.#keys.unknown;
  }

  keys(): string[] {
    return this.#source.snapshot.flags().map(({ key }) => key);
  }

  pinned(): PinnedFlags {
    const isEmpty = this.#status === "connecting";
    const pin = isEmpty ? { source: this.#nothing, answers: this.#noAnswers } : this.#shown.pinned();
    return new PinnedTestFlags(pin, this.#keys);
  }

  takeUsage(): FlagUsage[] {
    return this.#shown.takeUsage();
  }

  waitFor(revision: number | bigint | string, options: WaitOptions = {}): Promise<void> {
    return this.#waits.wait(revision, options);
  }

  on<E extends keyof MirrorEvents>(event: E, listener: (payload: MirrorEvents[E]) => void): Unsubscribe {
    return this.#listeners.on(event, listener);
  }

  async close(): Promise<void> {
    this.#status = "closed";
    this.#listeners.clear();
    this.#waits.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  set(key: string, value: TestValue | VariantName | VariantValues, options: SetOptions = {}): number {
    const state = redefined(key, this.#definitions.get(key), value, options);
    return this.#define(new Map(this.#definitions).set(key, state));
  }

  kill(key: string, { reason = "a test" }: KillOptions = {}): number {
    const state = killed(this.#definitionOf(key), reason, this.#parts.clock.now());
    return this.#define(new Map(this.#definitions).set(key, state));
  }

  revive(key: string): number {
    return this.#define(new Map(this.#definitions).set(key, revived(this.#definitionOf(key))));
  }

  remove(key: string): number {
    this.#definitionOf(key);
    this.#overrides.removeAll(key);
    const left = new Map(this.#definitions);
    left.delete(key);
    const revision = this.#define(left);
    // While the server is away, what it deletes stays, but not its overrides.
    this.#refresh();
    return revision;
  }

  override(key: string, served: TestValue | VariantName | Compute, options: SetOptions = {}): Override {
    const state = this.#stateOf(key);
    if (!isCompute(served)) serving(state, served, { ...options, newName: OVERRIDE_VARIANT });
    const override = this.#overrides.add(key, served, () => this.#refresh());
    this.#refresh();
    return override;
  }

  reset(): void {
    this.#overrides.clear();
    if (this.#status === "closed") {
      this.#waits.reopen();
      this.#status = "stale";
    }
    this.#define(this.#parts.definitions.flags);
    if (this.#status === "ready") this.#refresh();
    else this.recover();
    this.takeUsage();
    this.#shown.forgetPinned();
    this.#keys.forget();
  }

  outage({ cold = false, error = false }: OutageOptions = {}): Outage {
    const before = this.#status;
    const recover = (): void => this.recover();
    const outage: Outage = { recover, [Symbol.dispose]: recover };
    if (before === "closed") return outage;
    if (error !== false) this.#listeners.emit("error", error === true ? unreachable() : error);
    if (cold) this.#waits.restart();
    this.#status = cold ? "connecting" : "stale";
    if (before === "ready" && !cold) this.#listeners.emit("stale", { revision: this.revision });
    return outage;
  }

  recover(): void {
    const before = this.#status;
    if (before === "ready" || before === "closed") return;
    const wanted = this.#wanted(this.#definitions);
    this.#held = this.#definitions;
    const isNewest = this.#shown.follower.snapshot.position.revision === this.#newest;
    if (isNewest && this.#shown.differs(wanted)) this.#newest++;
    const keys = this.#sync(wanted);
    this.#status = "ready";
    this.#listeners.emit("ready", { revision: this.revision });
    if (before === "stale") this.#tellChange(keys);
  }

  variants(key: string): Readonly<Record<string, TestValue>> {
    const entries = Object.entries(flagOf(this.#stateOf(key)).variants);
    return Object.fromEntries(entries.map(([name, value]) => [name, fromValue(value) as TestValue]));
  }

  protected override answering(question: Question): Flags {
    this.#keys.note(question, this.#source);
    if (this.#status === "connecting") return this.#noAnswers;
    this.#shown.prepare(question.key, question.context);
    return this.#shown.answers;
  }

  get #source(): SnapshotSource {
    return this.#status === "connecting" ? this.#nothing : this.#shown.follower;
  }

  #stateOf(key: string): FlagState {
    const state = this.#held.get(key);
    if (state === undefined) throw new Error(noFlag(key, [...this.#held.keys()]));
    return state;
  }

  #definitionOf(key: string): FlagState {
    const state = this.#definitions.get(key);
    if (state === undefined) throw flagNotFound(key);
    return state;
  }

  /** The server's flags are these now. */
  #define(definitions: States): number {
    if (isSameFlags(definitions, this.#definitions)) return Number(this.#newest);
    // First, because it may throw.
    const wanted = this.#wanted(definitions);
    this.#definitions = definitions;
    this.#newest++;
    if (this.#status === "ready") {
      this.#held = definitions;
      this.#tellChange(this.#sync(wanted));
    }
    return Number(this.#newest);
  }

  /** The overrides have changed. While the server is away, its revision cannot move. */
  #refresh(): void {
    const wanted = this.#wanted(this.#held);
    if (!this.#shown.differs(wanted)) return;
    if (this.#status === "ready") {
      this.#newest++;
      this.#tellChange(this.#sync(wanted));
    } else {
      this.#tellChange(this.#shown.show(wanted, this.#shown.follower.snapshot.position));
    }
  }

  #sync(wanted: ReadonlyMap<string, ShownFlag>): readonly string[] {
    const position = positionAt(this.#newest);
    const keys = this.#shown.show(wanted, position);
    this.#deltas++;
    this.#waits.reached(position);
    return keys;
  }

  #wanted(states: States): Map<string, ShownFlag> {
    const wanted = new Map<string, ShownFlag>();
    for (const [key, state] of states) wanted.set(key, this.#overrides.apply(key, state));
    return wanted;
  }

  #tellChange(keys: readonly string[]): void {
    const isHeard = this.#status === "ready" || this.#status === "stale";
    if (isHeard && keys.length > 0) this.#listeners.emit("change", { keys, revision: this.revision });
  }

  /** As a mirror does. */
  #listenerFailed(event: keyof MirrorEvents, cause: unknown): void {
    if (event === "error") return;
    const message = `a listener of "${event}" threw: ${cause instanceof Error ? cause.message : String(cause)}`;
    this.#listeners.emit("error", new MirrorError("listener", message, { cause }));
  }
}

function positionAt(revision: bigint) {
  return create(PositionSchema, { epoch: "test", revision });
}

function unreachable(): MirrorError {
  return new MirrorError("connection", "the server cannot be reached: this outage is a test's");
}
