import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type BackoffOptions, type Clock, type Random, systemClock, systemRandom } from "../base/index.js";
import { parseAddress } from "./address.js";
import { bootstrapSnapshot } from "./bootstrap.js";
import type { MirrorCache } from "./cache.js";
import type { TlsOptions } from "./connect-socket.js";
import { createFileCache } from "./file-cache.js";
import { openGrpcTransport } from "./grpc-transport.js";
import { fromKept } from "./kept-snapshot.js";
import { SnapshotMirror } from "./mirror.js";
import type { Mirror } from "./mirror-api.js";
import { MirrorError, messageOf } from "./mirror-error.js";
import {
  type MirrorLogEntry,
  type MirrorParts,
  type MirrorTimes,
  resolveBackoff,
  resolveReportInterval,
  resolveSampleContexts,
  resolveTimes,
} from "./mirror-options.js";
import { Opening } from "./opening.js";
import { NO_LIST_OF_NAMES, parsePrivateAttributes } from "./private-attributes.js";
import { stayAlive } from "./stay-alive.js";
import type { MirrorTransport } from "./transport.js";
import { within } from "./within.js";

/** How to open a mirror. Everything has a default that suits a server beside it. */
export interface MirrorOptions extends Partial<MirrorTimes> {
  /** `host:port`, or a URL; `https://` for TLS. Default `127.0.0.1:8013`, where `flagwire serve` listens. */
  readonly address?: string | undefined;
  /** Sent as `authorization: Bearer …`. Default none. */
  readonly token?: string | undefined;
  /** Default `production`. */
  readonly environment?: string | undefined;
  /** Certificates for `https://`. Default the system's. */
  readonly tls?: TlsOptions | undefined;
  /** Where to keep the last snapshot, so that a restart succeeds while the server is away: a file, or your own. Default none. */
  readonly cache?: string | MirrorCache | undefined;
  /**
   * What to begin with when the server is away and there is no cache: a flag file in JSON form, as `flagwire export`
   * writes it, by its path or parsed. Default none.
   */
  readonly bootstrap?: string | object | undefined;
  /**
   * Whether opening waits, and fails where there is nothing to answer with. Default true. With false it is there at
   * once: until the first sync, and without cache and bootstrap, answers are your defaults with PROVIDER_NOT_READY, and
   * errors come as events only.
   */
  readonly waitForReady?: boolean;
  /** Gives up opening: it rejects. No effect later. Default none. */
  readonly signal?: AbortSignal | undefined;
  /** The pause before a new stream, with full jitter. Default 0.5 s to 30 s. */
  readonly backoff?: Partial<BackoffOptions>;
  /** A name for the server's operators. At most 256 characters. Default `flagwire`. */
  readonly clientName?: string | undefined;
  /**
   * Names or paths of attributes whose values are told to nobody, such as `email`: `explain` leaves them out, whatever else it is
   * told to, and so do contexts that are sent (see `sampleContexts`). Default none, but for those of the environment.
   */
  readonly privateAttributes?: readonly string[];
  /**
   * Whether and how often the mirror tells the server what it answered: how often each variant of each flag. Default every
   * minute, give or take a half. `false` leaves the counts to `takeUsage`.
   */
  readonly reportUsage?: false | { readonly intervalMs?: number };
  /**
   * Whether reports of usage may carry some of the contexts that were evaluated, at most 50, without private attributes: where the
   * environment keeps contexts, so that changes can be tried on them. Default true; `false` sends nothing of anybody's context.
   */
  readonly sampleContexts?: boolean;
  /** Told what happens in the background, also before anybody can listen to events. Default nobody. */
  readonly log?: (entry: MirrorLogEntry) => void;
  /** How to reach the server. Default gRPC at `address`. The mirror closes it. */
  readonly transport?: MirrorTransport;
  readonly clock?: Clock;
  readonly random?: Random;
}

/**
 * Opens a mirror of one environment. Resolves at the first sync; with a cache or a bootstrap also when the server cannot
 * be reached or is slow, and the mirror then follows it as soon as it can. Rejects with a `MirrorError` where the server
 * refuses (kind `refused`: the token, the environment), and where it cannot be reached and there is nothing to begin with
 * (kind `connection`); with a `TypeError` for an address that is none, for private attributes that are no list of names, for
 * `sampleContexts` that is neither true nor false, and for a time that is none or a pause of 0.
 *
 * The program stays alive while opening is pending. An open mirror does not keep it alive.
 */
export async function openMirror(options: MirrorOptions = {}): Promise<Mirror> {
  const parts = resolveParts(options);
  const mirror = new SnapshotMirror(parts);
  const release = stayAlive();
  try {
    const ignored = await adoptKept(mirror, parts, options);
    await followUntilOpen(mirror, parts, options, ignored);
    return mirror;
  } catch (error) {
    await mirror.close();
    throw error;
  } finally {
    parts.transport.unref();
    release();
  }
}

async function followUntilOpen(
  mirror: SnapshotMirror,
  parts: MirrorParts,
  options: MirrorOptions,
  ignored: string | undefined,
): Promise<void> {
  const { signal, waitForReady = true } = options;
  const { clock, times, transport } = parts;
  const opening = new Opening({ clock, address: transport.address, hasFallback: mirror.hasData, ignored, ...times });
  const abort = (): void =>
    opening.abandon(new MirrorError("closed", "opening was given up", { cause: signal?.reason }));
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  else mirror.start(opening);
  try {
    if (waitForReady || signal?.aborted) await opening.done;
    else opening.synced();
    mirror.opened();
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/**
 * The cache goes before the bootstrap, because it is newer. Neither can keep a mirror from opening, not even by silence.
 * Returns why the last one that was looked at is ignored, if it is.
 */
async function adoptKept(
  mirror: SnapshotMirror,
  parts: MirrorParts,
  { bootstrap, signal }: MirrorOptions,
): Promise<string | undefined> {
  const { cache, environment, clock, times } = parts;
  let ignored: string | undefined;
  const ignore = (what: "cache" | "bootstrap", error: unknown): void => {
    ignored = `The ${what} is ignored: ${messageOf(error)}`;
    mirror.report(new MirrorError(what, `the ${what} is ignored: ${messageOf(error)}`, { cause: error }));
  };
  const patience = { clock, signal, timeoutMs: times.connectTimeoutMs };
  try {
    const bytes = cache === undefined ? undefined : await within(cache.load(), patience);
    if (bytes !== undefined) {
      mirror.adopt(fromKept(bytes, environment), true);
      return undefined;
    }
  } catch (error) {
    ignore("cache", error);
  }
  if (bootstrap === undefined) return ignored;
  try {
    const json: unknown =
      typeof bootstrap === "string" ? JSON.parse(await within(readFile(bootstrap, "utf8"), patience)) : bootstrap;
    mirror.adopt(bootstrapSnapshot(json, environment), false);
    return undefined;
  } catch (error) {
    ignore("bootstrap", error);
    return ignored;
  }
}

function resolveParts(options: MirrorOptions): MirrorParts {
  const { environment = "production", cache, token, tls } = options;
  const privateAttributes = parsePrivateAttributes(options.privateAttributes);
  if (privateAttributes === undefined) throw new TypeError(NO_LIST_OF_NAMES);
  const transport =
    options.transport ?? openGrpcTransport({ url: parseAddress(options.address ?? DEFAULT_ADDRESS), token, tls });
  return {
    environment,
    clientName: options.clientName ?? "flagwire",
    privateAttributes,
    reportIntervalMs: resolveReportInterval(options.reportUsage),
    sampleContexts: resolveSampleContexts(options.sampleContexts),
    createId: randomUUID,
    stayAlive,
    transport,
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    times: resolveTimes(options),
    backoff: resolveBackoff(options.backoff),
    cache: typeof cache === "string" ? createFileCache(cache, { address: transport.address, environment }) : cache,
    log: guardLog(options.log),
  };
}

/** A log that fails, at once or later, must not take down what it tells of; and there is nobody left to tell. */
function guardLog(log: MirrorOptions["log"]): MirrorParts["log"] {
  if (log === undefined) return () => {};
  return (entry) => {
    try {
      void Promise.resolve(log(entry)).catch(() => {});
    } catch {}
  };
}

const DEFAULT_ADDRESS = "127.0.0.1:8013";
