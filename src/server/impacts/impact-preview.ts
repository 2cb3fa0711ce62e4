import { Role } from "../../../gen/flagwire/v1/access_pb.js";
import type { Impact } from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { Record } from "../../../gen/flagwire/v1/history_pb.js";
import type { RecordChange } from "../../store/index.js";
import { maySee, refuseRole } from "../access/permit.js";
import type { Admin } from "../admin/admin.js";
import { runSteps, type Steps } from "../admin/steps.js";
import { type Draft, differs } from "../admin/writer.js";
import type { KeptContext } from "../contexts/kept-contexts.js";
import type { Call } from "../handlers.js";
import { contractLimits } from "../limits.js";
import { isRefusal, type OrRefusal, type Refusal } from "../refusal.js";
import { changedSources, compileChanges } from "../state/compile-changes.js";
import { cancelledByClient } from "../status.js";
import { type Comparison, countMoves } from "./count-moves.js";
import { sampleEvenly } from "./sample-evenly.js";
import { type TriedContexts, toImpacts } from "./to-impacts.js";

/** What a preview costs at most. */
export interface ImpactBounds {
  /** Of the contexts, without and with the changes. Fewer contexts are tried where that is not enough for all. */
  readonly maxEvaluations: number;
  /** So many contexts of an environment are tried, whatever it takes. */
  readonly minContexts: number;
}

const BOUNDS: ImpactBounds = { maxEvaluations: 2_000_000, minContexts: 20 };

/**
 * Who would get another answer by the changes of one dry run. They are compiled as part of the write's draft, between whose
 * steps the state stays as it is; the contexts that are kept are tried after it.
 */
export class ImpactPreview {
  /** By environment. */
  #comparisons: ReadonlyMap<string, Comparison> = new Map();

  constructor(
    readonly admin: Admin,
    readonly call: Call,
    readonly bounds: ImpactBounds = BOUNDS,
  ) {}

  /** A draft, with what it leads to compiled. */
  *of(draft: Draft): Steps<Draft> {
    const { catalog } = this.admin.head;
    yield* this.compile(draft.changes.filter(({ id, after }) => differs(catalog.record(id), after)));
    return draft;
  }

  /** Compiles what the changes lead to where contexts are kept. The last time counts, where a draft is made more than once. */
  *compile(changes: readonly RecordChange[]): Steps<void> {
    const { head } = this.admin;
    const { catalog } = head;
    const after = catalog.with(changes);
    const changed = changes.map((change) => ({ before: catalog.record(change.id), after: change.after }));
    const comparisons = new Map<string, Comparison>();
    for (const name of catalog.environmentNames()) {
      const before = head.snapshot(name);
      const keeps = catalog.environment(name)?.keepContexts && after.environment(name)?.keepContexts;
      if (before === undefined || !keeps || !maySee(this.call, name)) continue;
      const own = changed.filter((one) => isEnvironment(one.after, name));
      const { candidate, concerned } = yield* compileChanges(before, [...own, ...changedSources(changed, name)], after);
      if (concerned.size > 0) comparisons.set(name, { before, after: candidate, flagKeys: concerned });
    }
    this.#comparisons = comparisons;
  }

  /** Tries the contexts. A refusal where the caller has gone. Rejects as the contexts do where they cannot be read. */
  async impacts(): Promise<OrRefusal<Impact[]>> {
    const { contexts, writer } = this.admin;
    const kept: EnvironmentContexts[] = [];
    for (const [environment, comparison] of this.#comparisons) {
      const list = await contexts.list(environment);
      if (list.length > 0) kept.push({ environment, comparison, kept: list });
    }
    const trying = tryContexts(kept, writer.clock.now(), this.bounds);
    const tried = await runSteps<readonly TriedContexts[], Refusal>(trying, writer.turns, () =>
      this.call.signal.aborted ? cancelledByClient : undefined,
    );
    if (isRefusal(tried)) return tried;
    const withExamples = refuseRole(this.call, Role.EDITOR) === undefined;
    return toImpacts(tried, { maxBytes: contractLimits.messageBytes, withExamples });
  }
}

function isEnvironment(record: Record | undefined, name: string): boolean {
  return record?.kind.case === "environment" && record.kind.value.name === name;
}

interface EnvironmentContexts {
  readonly environment: string;
  readonly comparison: Comparison;
  readonly kept: readonly KeptContext[];
}

function* tryContexts(
  environments: readonly EnvironmentContexts[],
  now: number,
  { maxEvaluations, minContexts }: ImpactBounds,
): Steps<readonly TriedContexts[]> {
  const perContext = environments.reduce((sum, { comparison }) => sum + 2 * comparison.flagKeys.size, 0);
  const maxContexts = Math.max(minContexts, Math.floor(maxEvaluations / Math.max(perContext, 1)));
  const tried: TriedContexts[] = [];
  for (const { environment, comparison, kept } of environments) {
    const sample = sampleEvenly(kept, maxContexts);
    const counted = yield* countMoves(
      comparison,
      sample.map(({ context }) => context),
      now,
    );
    const oldestMs = sample.reduce((oldest, { keptMs }) => Math.min(oldest, keptMs), now);
    tried.push({ environment, triedContexts: sample.length, oldestMs, ...counted });
  }
  return tried;
}
