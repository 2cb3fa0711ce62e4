import { fingerprint } from "./fingerprint.js";
import type { FlagAnswer, FlagValues } from "./flag-answers.js";
import { isRecord, textOf } from "./json.js";

/** Where values are kept, as far as it is used: the browser's `localStorage`, or what is like it. */
export interface WebStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

const PREFIX = "flagwire/1/";
/** Item keys, the last used first. */
const INDEX = `${PREFIX}index`;
/** How many contexts are kept: those of a few people, or of one before and after a login. */
const MAX_CONTEXTS = 5;

/** Whose values: everything that they depend on, but for the flags themselves. */
export interface ValueScope {
  readonly baseUrl: string;
  readonly environment: string;
  readonly flagKeys: readonly string[];
  /** See toContextJson. */
  readonly context: object;
}

/**
 * The last values of a few contexts. An item holds no context, and its key only a fingerprint of it. Storage may be full, switched
 * off or changed by others: then there are no values, and nothing else happens.
 */
export class ValueCache {
  readonly #storage: WebStorage | undefined;

  constructor(storage: WebStorage | undefined) {
    this.#storage = storage;
  }

  load(scope: ValueScope): FlagValues | undefined {
    if (this.#storage === undefined) return undefined;
    try {
      return parse(this.#storage.getItem(keyOf(scope)));
    } catch {
      return undefined;
    }
  }

  save(scope: ValueScope, { revision, answers }: FlagValues): void {
    if (this.#storage === undefined) return;
    try {
      const key = keyOf(scope);
      this.#makeRoom(this.#storage, key);
      this.#storage.setItem(key, JSON.stringify({ revision, answers: [...answers] }));
    } catch {
      // The next start has to reach the server, or has values that are older.
    }
  }

  #makeRoom(storage: WebStorage, key: string): void {
    const others = parseIndex(storage.getItem(INDEX)).filter((other) => other !== key);
    for (const other of others.splice(MAX_CONTEXTS - 1)) if (other.startsWith(PREFIX)) storage.removeItem(other);
    storage.setItem(INDEX, JSON.stringify([key, ...others]));
  }
}

function keyOf({ baseUrl, environment, flagKeys, context }: ValueScope): string {
  return PREFIX + fingerprint(JSON.stringify([baseUrl, environment, [...flagKeys].sort(), context]));
}

function parseIndex(text: string | null): string[] {
  try {
    const keys: unknown = JSON.parse(text ?? "[]");
    return Array.isArray(keys) ? keys.map(String) : [];
  } catch {
    return [];
  }
}

function parse(text: string | null): FlagValues | undefined {
  const json: unknown = text === null ? undefined : JSON.parse(text);
  const { revision, answers } = isRecord(json) ? json : {};
  if (!Array.isArray(answers) || !answers.every(isEntry)) return undefined;
  return { revision: textOf(revision), answers: new Map(answers) };
}

function isEntry(entry: unknown): entry is [string, FlagAnswer] {
  return Array.isArray(entry) && typeof entry[0] === "string" && isRecord(entry[1]);
}
