import { Code, ConnectError } from "@connectrpc/connect";
import type { SnapshotSource } from "../client/index.js";
import { flagTypeName } from "../engine/index.js";
import type { Question } from "./asked-flags.js";

/** The keys that code asked for, and what it does about those that nobody has defined. */
export class AskedKeys {
  readonly #isStrict: boolean;
  readonly #asked = new Set<string>();
  readonly #unknown = new Set<string>();

  constructor(isStrict: boolean) {
    this.#isStrict = isStrict;
  }

  get asked(): readonly string[] {
    return [...this.#asked];
  }

  get unknown(): readonly string[] {
    return [...this.#unknown];
  }

  /** Throws where it is strict and the question has no answer by a mistake of whoever asks. */
  note({ key, type }: Question, { snapshot, hasData }: SnapshotSource): void {
    this.#asked.add(key);
    if (!hasData) return;
    const flag = snapshot.flag(key);
    if (flag === undefined) this.#unknown.add(key);
    if (!this.#isStrict) return;
    if (flag === undefined) {
      const known = snapshot.flags().map((one) => one.key);
      throw new Error(noFlag(key, known));
    }
    if (type === undefined || type === flag.type) return;
    throw new TypeError(
      `flag ${key} is of the type ${flagTypeName(flag.type)}, but a ${flagTypeName(type)} is asked for`,
    );
  }

  forget(): void {
    this.#asked.clear();
    this.#unknown.clear();
  }
}

/** Says that there is no flag, and which there are. */
export function noFlag(key: string, known: readonly string[]): string {
  const named = known.slice(0, MAX_NAMED).join(", ");
  const more = known.length > MAX_NAMED ? ` and ${known.length - MAX_NAMED} more` : "";
  return `there is no flag ${JSON.stringify(key)}; there ${known.length === 0 ? "are none" : `are ${named}${more}`}`;
}

/** As a server's own: code that removes flags meets the same error with either. */
export function flagNotFound(key: string): ConnectError {
  return new ConnectError(`there is no flag ${JSON.stringify(key)}`, Code.NotFound);
}

const MAX_NAMED = 20;
