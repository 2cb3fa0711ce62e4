import { create } from "@bufbuild/protobuf";
import { CreateEnvironmentRequestSchema } from "../../gen/flagwire/v1/admin_service_pb.js";
import type { HistoryEntry } from "../../gen/flagwire/v1/history_pb.js";
import type {
  EvaluationRecord,
  LoggedCommit,
  LoggedEpoch,
  MirrorRecord,
  Violation,
  WriteRecord,
} from "../history-checker/index.js";
import { Chance } from "./chance.js";
import { Cluster } from "./cluster.js";
import { evaluate } from "./evaluate.js";
import { Link, Network } from "./network.js";
import { chooseOperation } from "./operations.js";
import type { Plan } from "./plan.js";
import { SimulatedClock } from "./simulated-clock.js";
import { type Backup, SimulatedDisk } from "./simulated-disk.js";
import { SimulatedMirror } from "./simulated-mirror.js";
import { SimulatedWatcher } from "./simulated-watcher.js";
import type { SimulatedWorker } from "./simulated-worker.js";
import { carryOut } from "./simulated-writer.js";

interface OpenEpoch extends LoggedEpoch {
  readonly commits: LoggedCommit[];
}

/** Everything that there is in a run, and all that was seen of it. */
export class World {
  readonly clock = new SimulatedClock();
  readonly chance: Chance;
  readonly disk: SimulatedDisk;
  readonly cluster: Cluster;
  readonly network: Network;
  /** Those that are open. */
  readonly watchers = new Set<SimulatedWatcher>();
  readonly mirrors = new Set<SimulatedMirror>();
  readonly backups: Backup[] = [];
  readonly epochs: OpenEpoch[] = [];
  readonly writes: WriteRecord[] = [];
  readonly evaluations: EvaluationRecord[] = [];
  readonly mirrorRecords: MirrorRecord[] = [];
  readonly counts = new Map<string, number>();
  /** Beside what the records show. */
  readonly violations: Violation[] = [];
  readonly #caches = new Map<string, Uint8Array>();
  #clients = 0;
  #pendingWrites = 0;

  constructor(
    readonly plan: Plan,
    readonly story: ((text: string) => void) | undefined,
  ) {
    const { clock, tell } = this;
    const violated = (message: string): void => this.violate("converged", "the server", message);
    this.chance = new Chance(plan.seed ^ 0x5eed);
    this.disk = new SimulatedDisk(clock, this.chance.fork(), (epoch, entry) => this.#committed(epoch, entry));
    this.cluster = new Cluster({ plan, clock, chance: this.chance.fork(), disk: this.disk, tell, violated });
    this.network = new Network(this.cluster, clock, this.chance.fork(), (fault) => this.count(fault), story && tell);
  }

  /** The newest. */
  get epoch(): OpenEpoch {
    const newest = this.epochs.at(-1);
    if (newest === undefined) throw new Error("no epoch has begun");
    return newest;
  }

  get links(): readonly Link[] {
    return [...this.watchers, ...this.mirrors].map(({ link }) => link);
  }

  get pendingWrites(): number {
    return this.#pendingWrites;
  }

  readonly tell = (text: string): void => {
    this.story?.(`${this.clock.monotonicMs().toFixed(0).padStart(7)} ms  ${text}`);
  };

  count(name: string, by = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + by);
  }

  violate(property: Violation["property"], who: string, message: string): void {
    this.violations.push({ property, who, message });
  }

  /** The first start of a server on an empty disk. */
  async begin(): Promise<void> {
    this.epochs.push({ epoch: "epoch-1", commits: [] });
    await this.disk.format("epoch-1");
    this.cluster.start();
    await this.clock.advance(0);
    for (const name of this.plan.environments) {
      const request = create(CreateEnvironmentRequestSchema, { environment: { name }, comment: `${name} begins` });
      const call = { signal: new AbortController().signal, header: () => undefined, peer: "" };
      if (name === "production" || this.chance.is(0.8)) {
        void this.cluster.workers[0]?.writes.createEnvironment(request, call);
        await this.clock.advance(0);
      }
    }
    for (let left = this.chance.integer(0, 6); left > 0; left--) this.write();
    for (let left = this.chance.integer(0, 3); left > 0; left--) this.openWatcher();
    for (let left = this.chance.integer(0, 2); left > 0; left--) this.openMirror();
    await this.clock.advance(0);
  }

  write(): void {
    const id = `write-${this.writes.length}`;
    const operation = chooseOperation(this.plan, this.chance, id);
    const { cluster, clock, chance, tell } = this;
    const parts = { cluster, clock, chance, tell, evaluate: (worker: SimulatedWorker) => this.evaluate(worker) };
    this.#pendingWrites++;
    this.count("writes");
    carryOut(id, operation, parts, (record) => this.writes.push(record))
      .catch((error) => this.violate("acknowledged", id, `it threw ${String(error)}`))
      .finally(() => this.#pendingWrites--);
  }

  evaluate(worker: SimulatedWorker): void {
    const evaluation = evaluate(worker, this.plan, this.chance, this.clock);
    if (evaluation !== undefined) this.evaluations.push(evaluation);
  }

  openWatcher(): void {
    const environment = this.chance.pick(this.plan.environments);
    const link = this.#openLink("watcher", environment);
    this.watchers.add(new SimulatedWatcher(environment, link, this.clock, this.chance.fork()));
  }

  openMirror(): void {
    const { plan, chance, clock } = this;
    const environment = chance.pick(plan.environments);
    const link = this.#openLink("mirror", environment);
    const slot = `${environment}/${chance.integer(0, 1)}`;
    const cache = chance.is(0.5) && {
      load: async () => this.#caches.get(slot),
      save: async (bytes: Uint8Array) => void this.#caches.set(slot, bytes),
    };
    const setting = {
      name: link.client,
      environment,
      link,
      clock,
      chance: chance.fork(),
      cache: cache || undefined,
      violated: (message: string) => this.violate("resynced", link.client, message),
    };
    const mirror = new SimulatedMirror(setting);
    this.mirrorRecords.push(mirror.record);
    this.mirrors.add(mirror);
  }

  /** A backup becomes the server's state, in a new epoch. */
  restore(backup: Backup): void {
    const epoch = `epoch-${this.epochs.length + 1}`;
    this.cluster.crash();
    this.disk.restore(backup, epoch);
    this.epochs.push({ epoch, base: { epoch: backup.epoch, revision: backup.revision }, commits: [] });
    this.tell(`revision ${backup.revision} of ${backup.epoch} is restored as ${epoch}`);
  }

  #openLink(kind: string, environment: string): Link {
    const name = `${kind} ${++this.#clients}`;
    this.tell(`${name} opens ${environment}`);
    return new Link(name, this.network, this.chance.fork());
  }

  #committed(epoch: string, entry: HistoryEntry): void {
    const logged = this.epochs.find((one) => one.epoch === epoch);
    if (logged === undefined) this.violate("log", "the disk", `epoch ${epoch} was never begun`);
    logged?.commits.push({ entry, durableAt: this.clock.stamp() });
  }
}
