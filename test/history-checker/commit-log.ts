import type { Change, HistoryEntry, Record } from "../../gen/flagwire/v1/history_pb.js";
import { EnvironmentLog, type LoggedItem } from "./environment-log.js";
import { loggedItem } from "./logged-items.js";
import { Findings, type Violation } from "./violation.js";

/** All transactions of one epoch, from its first. */
export interface LoggedEpoch {
  readonly epoch: string;
  /** Where it was restored from another one: it has all of that one's transactions up to here. */
  readonly base?: { readonly epoch: string; readonly revision: number } | undefined;
  /** After the base, in order. */
  readonly commits: readonly LoggedCommit[];
}

export interface LoggedCommit {
  readonly entry: HistoryEntry;
  /** When it became durable, if that is known: on the clock of the history. */
  readonly durableAt?: number | undefined;
}

/** Everything that was ever durable, by epoch. */
export class CommitLog {
  readonly epochs: ReadonlyMap<string, EpochLog>;
  /** What is wrong with the log itself. */
  readonly violations: readonly Violation[];

  /** An epoch comes after its base. */
  constructor(epochs: readonly LoggedEpoch[]) {
    const violations: Violation[] = [];
    const known = new Map<string, EpochLog>();
    for (const logged of epochs) {
      const { epoch, base, commits } = logged;
      const inherited = base && known.get(base.epoch)?.commits.slice(0, base.revision);
      const findings = new Findings(violations, `the log of epoch ${epoch}`);
      if (known.has(epoch)) findings.add("log", "there are two of this name");
      if (base && inherited?.length !== base.revision)
        findings.add("log", `it has no base at revision ${base.revision}`);
      known.set(epoch, new EpochLog(epoch, inherited ?? [], commits, findings));
    }
    this.epochs = known;
    this.violations = violations;
  }
}

/** One epoch's transactions, and what each environment was at each of its revisions. */
export class EpochLog {
  readonly commits: readonly LoggedCommit[];
  readonly #environments = new Map<string, EnvironmentLog>();
  readonly #byComment = new Map<string, number[]>();
  readonly #records = new Map<string, Record>();

  constructor(
    readonly epoch: string,
    /** Transactions that it began with. */
    readonly inherited: readonly LoggedCommit[],
    own: readonly LoggedCommit[],
    findings: Findings,
  ) {
    this.commits = [...inherited, ...own];
    for (const [index, { entry }] of this.commits.entries()) {
      const expected = index + 1;
      if (Number(entry.revision) !== expected)
        findings.add("log", `revision ${entry.revision} stands where ${expected} should`);
      this.#take(entry, findings);
    }
  }

  get newest(): number {
    return this.commits.length;
  }

  /** Undefined where nothing was ever known of it. */
  environment(name: string): EnvironmentLog | undefined {
    return this.#environments.get(name);
  }

  commit(revision: number): LoggedCommit | undefined {
    return this.commits[revision - 1];
  }

  /** The revisions of the transactions that have this comment. */
  revisionsOf(comment: string): readonly number[] {
    return this.#byComment.get(comment) ?? [];
  }

  #take(entry: HistoryEntry, findings: Findings): void {
    const revision = Number(entry.revision);
    const known = this.#byComment.get(entry.comment);
    if (known === undefined) this.#byComment.set(entry.comment, [revision]);
    else known.push(revision);
    const ids = new Set<string>();
    for (const change of entry.changes) {
      const id = changedId(change);
      if (id === undefined || ids.has(id))
        findings.add("log", `revision ${revision} changes ${id} twice, or something unknown`);
      if (id === undefined) continue;
      ids.add(id);
      this.#change(id, change, revision, findings);
    }
    this.#moveEnvironments(revision, ids);
  }

  #change(id: string, { before, after }: Change, revision: number, findings: Findings): void {
    const held = this.#records.get(id);
    if (held?.kind.value?.revision !== before?.kind.value?.revision)
      findings.add("log", `revision ${revision} changes ${id} from something that it was not`);
    const stamped = after?.kind.value?.revision;
    if (stamped !== undefined && Number(stamped) !== revision) {
      findings.add("log", `revision ${revision} holds ${id} of revision ${stamped}`);
    }
    if (after === undefined) this.#records.delete(id);
    else this.#records.set(id, after);
  }

  #moveEnvironments(revision: number, changed: ReadonlySet<string>): void {
    for (const id of changed) {
      const name = id.startsWith("environment/") ? id.slice("environment/".length) : undefined;
      if (name !== undefined && !this.#environments.has(name)) this.#environments.set(name, new EnvironmentLog());
    }
    for (const [name, log] of this.#environments) {
      const existed = log.at(revision)?.exists === true;
      const exists = this.#records.has(`environment/${name}`);
      if (!existed && !exists) continue;
      const ids = existed && exists ? touchedIds(name, changed) : this.#allIds(name, log);
      if (ids.size === 0 && existed === exists) continue;
      const items = new Map<string, LoggedItem | undefined>();
      for (const id of ids) items.set(id, exists ? loggedItem(id, name, (key) => this.#records.get(key)) : undefined);
      log.move(revision, exists, items);
    }
  }

  /** Of all that an environment has or had. */
  #allIds(environment: string, log: EnvironmentLog): Set<string> {
    const ids = new Set<string>(log.ids());
    const segments = `segment/${environment}/`;
    for (const id of this.#records.keys()) {
      if (id.startsWith("flag/")) ids.add(id);
      else if (id.startsWith(segments)) ids.add(`segment/${id.slice(segments.length)}`);
    }
    return ids;
  }
}

/** The items of an environment that some records belong to. */
function touchedIds(environment: string, changed: ReadonlySet<string>): Set<string> {
  const ids = new Set<string>();
  for (const id of changed) {
    const [kind, name, ...rest] = id.split("/");
    if (kind === "flag") ids.add(id);
    else if (kind === "targeting" && name === environment) ids.add(`flag/${rest.join("/")}`);
    else if (kind === "segment" && name === environment) ids.add(`segment/${rest.join("/")}`);
  }
  return ids;
}

function changedId({ before, after }: Change): string | undefined {
  const kind = (after ?? before)?.kind;
  switch (kind?.case) {
    case "flag":
      return `flag/${kind.value.key}`;
    case "targeting":
      return `targeting/${kind.value.environment}/${kind.value.flagKey}`;
    case "segment":
      return `segment/${kind.value.environment}/${kind.value.key}`;
    case "environment":
      return `environment/${kind.value.name}`;
    case "reservedKey":
      return `reserved/${kind.value.key}`;
    default:
      return undefined;
  }
}
