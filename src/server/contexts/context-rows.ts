import { isJsonObject } from "../../base/index.js";
import type { SideChange, SideEntry } from "../../store/index.js";
import { toContextText } from "./context-form.js";

/** Under which environment's settings contexts are kept: what was kept under others is none of it. */
export interface Scope {
  /** Of the store: revisions of another have nothing to do with these. */
  readonly epoch: string;
  /** The revision of the environment that contexts are kept since. */
  readonly begun: bigint;
  /** The environment's revision, as far as it is dealt with. */
  readonly revision: bigint;
  /** Since when contexts are kept, in milliseconds since 1970. */
  readonly sinceMs: number;
}

/** A context in its place. There is a fixed number of them in each environment, so there are never more rows than that. */
export interface PlacedContext {
  readonly place: number;
  /** See Scope. */
  readonly begun: bigint;
  /** The context, as JSON: read, it may take ten times as much. */
  readonly text: string;
  readonly keptMs: number;
}

/** What is kept of one environment, the oldest first. */
export interface ScopeRows {
  scope: Scope | undefined;
  readonly contexts: PlacedContext[];
}

/** What all keys of contexts begin with, so that others may keep something beside it. */
export const CONTEXTS_PREFIX = "contexts/";
const SCOPE = "scope";
const PLACE = /^\d{4}$/;

export function scopeKey(environment: string): string {
  return `${CONTEXTS_PREFIX}${environment}/${SCOPE}`;
}

export function placeKey(environment: string, place: number): string {
  return `${CONTEXTS_PREFIX}${environment}/${String(place).padStart(4, "0")}`;
}

export function toScopeRow(environment: string, { epoch, begun, revision, sinceMs }: Scope): SideChange {
  return [scopeKey(environment), JSON.stringify([epoch, String(begun), String(revision), sinceMs])];
}

export function toContextRow(environment: string, { place, begun, text, keptMs }: PlacedContext): SideChange {
  return [placeKey(environment, place), `["${begun}",${keptMs},${text}]`];
}

/** What the rows under the prefix hold, by environment, and the keys of those that cannot be read. */
export function readContextRows(entries: readonly SideEntry[]): {
  readonly rows: ReadonlyMap<string, ScopeRows>;
  readonly damaged: readonly string[];
} {
  const rows = new Map<string, ScopeRows>();
  const damaged: string[] = [];
  for (const [key, text] of entries) {
    const [, environment = "", part = ""] = key.split("/");
    const found = rows.get(environment) ?? { scope: undefined, contexts: [] };
    rows.set(environment, found);
    if (!readRow(found, part, text)) damaged.push(key);
  }
  for (const { contexts } of rows.values()) contexts.sort((a, b) => a.keptMs - b.keptMs);
  return { rows, damaged };
}

function readRow(found: ScopeRows, part: string, text: string): boolean {
  const row = parse(text);
  if (part === SCOPE) {
    const [epoch, begun, revision, sinceMs] = row;
    if (typeof epoch !== "string" || !isRevision(begun) || !isRevision(revision) || !isTime(sinceMs)) return false;
    found.scope = { epoch, begun: BigInt(begun), revision: BigInt(revision), sinceMs };
    return true;
  }
  const [begun, keptMs, context] = row;
  if (!PLACE.test(part) || !isRevision(begun) || !isTime(keptMs)) return false;
  const sound = isJsonObject(context) ? toContextText(context) : undefined;
  if (sound === undefined) return false;
  found.contexts.push({ place: Number(part), begun: BigInt(begun), text: sound, keptMs });
  return true;
}

/** Nothing where it is no list in JSON. */
function parse(text: string): readonly unknown[] {
  try {
    const row: unknown = JSON.parse(text);
    return Array.isArray(row) ? row : [];
  } catch {
    return [];
  }
}

function isRevision(field: unknown): field is string {
  return typeof field === "string" && /^\d{1,20}$/.test(field);
}

function isTime(field: unknown): field is number {
  return Number.isSafeInteger(field);
}
