import type { Record } from "../../../gen/flagwire/v1/history_pb.js";
import { type RecordId, recordId } from "../../store/index.js";

const MAX_IDS = 10_000;
const MAX_REVISIONS = 20;

/** At which revisions flags and their settings were as they were before their last changes, for what is told of them late. */
export class FormerRevisions {
  /** Oldest first, without a gap; 0 where there was no record. What changed longest ago comes first, and goes first. */
  readonly #revisions = new Map<RecordId, bigint[]>();

  note(before: Record | undefined, after: Record | undefined): void {
    const kept = after ?? before;
    const id = kept && recordId(kept);
    if (id === undefined || (kept?.kind.case !== "flag" && kept?.kind.case !== "targeting")) return;
    const revisions = this.#revisions.get(id) ?? [];
    revisions.push(revisionOf(before));
    if (revisions.length > MAX_REVISIONS) revisions.shift();
    this.#revisions.delete(id);
    this.#revisions.set(id, revisions);
    if (this.#revisions.size <= MAX_IDS) return;
    for (const oldest of this.#revisions.keys()) {
      this.#revisions.delete(oldest);
      return;
    }
  }

  /** Changes were missed: nothing is known any more. */
  reset(): void {
    this.#revisions.clear();
  }

  /** That of the record as it was at `revision`, before what it is now; undefined if that is not known. */
  at(id: RecordId, revision: bigint): bigint | undefined {
    return this.#revisions.get(id)?.findLast((one) => one <= revision);
  }
}

function revisionOf(record: Record | undefined): bigint {
  const kind = record?.kind;
  return kind?.case === "flag" || kind?.case === "targeting" ? kind.value.revision : 0n;
}
