import type { Record } from "../../../gen/flagwire/v1/history_pb.js";
import type { RecordId } from "../../store/index.js";
import { Announcements } from "./announcements.js";

/** Which settings have ramps, known without looking through all of them. */
export class Ramping {
  readonly #ids = new Set<RecordId>();
  /** Made after ramps have come, changed or gone, in a later turn. */
  readonly changes = new Announcements();

  /** The ids of targetings. */
  get ids(): Iterable<RecordId> {
    return this.#ids;
  }

  /** Tells of a record that was changed or, if undefined, deleted. */
  note(id: RecordId, record: Record | undefined): void {
    const has = record?.kind.case === "targeting" && record.kind.value.ramps.length > 0;
    const had = has ? this.#ids.has(id) : this.#ids.delete(id);
    if (has) this.#ids.add(id);
    if (has || had) this.changes.announce();
  }

  /** Begins anew, with all records. */
  reset(records: ReadonlyMap<RecordId, Record>): void {
    this.#ids.clear();
    for (const [id, record] of records) this.note(id, record);
    this.changes.announce();
  }
}
