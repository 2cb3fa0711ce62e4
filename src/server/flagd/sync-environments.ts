import type { Logger } from "pino";
import type { Clock } from "../../base/index.js";
import { Announcements } from "../state/announcements.js";
import type { Head } from "../state/head.js";
import { SyncEnvironment } from "./sync-environment.js";
import { SyncFragments } from "./sync-fragments.js";

/** What is synced of each environment that anybody has asked for. */
export class SyncEnvironments {
  /** Made whenever a state is another. */
  readonly announcements = new Announcements();
  readonly #parts: { readonly head: Head; readonly clock: Clock; readonly log: Logger };
  readonly #fragments = new SyncFragments();
  readonly #known = new Map<string, SyncEnvironment>();

  constructor(parts: { readonly head: Head; readonly clock: Clock; readonly log: Logger }) {
    this.#parts = parts;
    parts.head.announcements.subscribe(() => this.#moved());
  }

  /** Undefined for an environment that does not exist. */
  of(name: string): SyncEnvironment | undefined {
    if (this.#parts.head.snapshot(name) === undefined) return undefined;
    const known = this.#known.get(name);
    // One that is gone was deleted, and has been created again since.
    if (known?.state !== undefined) return known;
    const onChange = () => this.announcements.announce();
    const made = new SyncEnvironment({ ...this.#parts, name, fragments: this.#fragments, onChange });
    this.#known.set(name, made);
    return made;
  }

  #moved(): void {
    const { ended } = this.#parts.head.announcements;
    if (ended) this.announcements.end();
    for (const [name, environment] of this.#known) {
      if (ended) environment.close();
      else environment.moved();
      if (environment.state === undefined) this.#known.delete(name);
    }
  }
}
