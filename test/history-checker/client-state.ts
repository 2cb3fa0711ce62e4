import { contentText, type EnvironmentLog } from "./environment-log.js";
import { Sum } from "./sum.js";

/** What a client holds that applies what it is sent. */
export class ClientState {
  readonly #versions = new Map<string, string>();
  readonly #content = new Sum();

  /** What the log had at a revision. */
  static of(log: EnvironmentLog, revision: number): ClientState {
    const state = new ClientState();
    for (const [id, { version }] of log.items(revision)) state.set(id, version);
    return state;
  }

  /** Comparable with the log's. */
  get content(): string {
    return String(this.#content);
  }

  version(id: string): string | undefined {
    return this.#versions.get(id);
  }

  set(id: string, version: string | undefined): void {
    const before = this.#versions.get(id);
    if (before !== undefined) this.#content.remove(contentText(id, before));
    if (version === undefined) this.#versions.delete(id);
    else {
      this.#versions.set(id, version);
      this.#content.add(contentText(id, version));
    }
  }

  /** The ids that differ from the log's at a revision, a few of them. */
  differences(log: EnvironmentLog, revision: number): string {
    const expected = log.items(revision);
    const ids = new Set([...expected.keys(), ...this.#versions.keys()]);
    const found: string[] = [];
    for (const id of ids) {
      const held = this.#versions.get(id);
      const logged = expected.get(id)?.version;
      if (held === logged) continue;
      found.push(
        held === undefined ? `${id} is missing` : logged === undefined ? `${id} is too much` : `${id} is another`,
      );
    }
    return found.length > 5 ? `${found.slice(0, 5).join(", ")} and ${found.length - 5} more` : found.join(", ");
  }
}
