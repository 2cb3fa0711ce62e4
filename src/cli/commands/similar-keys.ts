import { ConnectError } from "@connectrpc/connect";
import { CliFailure } from "../failure.js";
import { refusalReason, toRemoteFailure } from "../remote-failure.js";
import type { Session } from "../session.js";

const maximumSuggestions = 3;

/** Runs a command about one flag; where the server has no such flag, the failure names flags with similar keys. */
export async function withSimilarKeys<T>(session: Session, key: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (!(error instanceof ConnectError) || refusalReason(error) !== "FLAG_NOT_FOUND") throw error;
    const failure = toRemoteFailure(error, { address: session.options.address, mayHaveWritten: false });
    const similar = await findSimilarKeys(session, key);
    if (similar.length === 0) throw failure;
    throw new CliFailure(
      failure.exitCode,
      `${failure.message}; did you mean ${similar.join(" or ")}?`,
      failure.details,
    );
  }
}

/** Flags with similar keys where the server has none of this key; undefined where it has one, or where that cannot be told. */
export async function similarIfAbsent(session: Session, key: string): Promise<readonly string[] | undefined> {
  const remote = session.remote();
  try {
    await remote.call((options) => remote.admin.getFlag({ key }, options), 1_000);
    return undefined;
  } catch (error) {
    return refusalReason(error) === "FLAG_NOT_FOUND" ? findSimilarKeys(session, key) : undefined;
  }
}

/** Only a help: whatever goes wrong here, the failure that is being explained counts. */
async function findSimilarKeys(session: Session, key: string): Promise<readonly string[]> {
  const remote = session.remote();
  const request = { environment: session.options.environment, pageSize: 1000 };
  try {
    const { flags } = await remote.call((options) => remote.admin.listFlags(request, options), 1_000);
    return similarTo(
      key,
      flags.map((flag) => flag.key),
    );
  } catch {
    return [];
  }
}

/** The nearest of `keys`: those few edits away, or that hold the key or are held by it. */
export function similarTo(key: string, keys: readonly string[]): readonly string[] {
  const wanted = key.toLowerCase();
  const limit = Math.max(1, Math.floor(key.length / 3));
  return keys
    .map((candidate) => ({ candidate, distance: nearness(wanted, candidate.toLowerCase()) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, maximumSuggestions)
    .map(({ candidate }) => candidate);
}

function nearness(wanted: string, candidate: string): number {
  const held = wanted.length > 2 && candidate.length > 2 && (candidate.includes(wanted) || wanted.includes(candidate));
  return held ? 1 : editDistance(wanted, candidate);
}

/** Levenshtein's distance, a row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substituted, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
