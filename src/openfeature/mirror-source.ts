import { type Mirror, MirrorError, type MirrorOptions, type MirrorTransport, openMirror } from "../client/index.js";

/** All of a mirror's options but those that the provider needs itself: it waits as the SDK tells it to, and gives up with it. */
export type FollowedMirrorOptions = Omit<MirrorOptions, "waitForReady" | "signal">;

/** Where a provider has its mirror from. */
export interface MirrorSource {
  /** Waits until the mirror has something to answer with. Rejects like `openMirror`. */
  open(signal: AbortSignal): Promise<Mirror>;
  /** A mirror that goes on trying, after one could not be opened. */
  keepTrying(signal: AbortSignal): Promise<Mirror>;
  /** Lets go of the mirror that came from here, if one did. */
  release(mirror: Mirror | undefined): Promise<void>;
}

/** Mirrors of the provider's own. */
export function openedMirrors(options: FollowedMirrorOptions): MirrorSource {
  const { transport } = options;
  // A mirror that could not be opened closes its transport, which the next one still needs.
  const followed: FollowedMirrorOptions =
    transport === undefined ? options : { ...options, transport: keptOpen(transport) };
  return {
    open: (signal) => openMirror({ ...followed, waitForReady: true, signal }),
    keepTrying: (signal) => openMirror({ ...followed, waitForReady: false, signal }),
    async release(mirror) {
      await mirror?.close();
      await transport?.close();
    },
  };
}

/** A mirror that somebody else has opened and will close. */
export function lentMirror(mirror: Mirror): MirrorSource {
  return {
    async open(signal) {
      await untilAnswering(mirror, signal);
      return mirror;
    },
    keepTrying: async () => mirror,
    release: async () => {},
  };
}

/** Where a mirror was opened without waiting, there may be nothing in it yet. */
async function untilAnswering(mirror: Mirror, signal: AbortSignal): Promise<void> {
  if (mirror.status === "closed") throw new MirrorError("closed", "the mirror is closed");
  if (mirror.status !== "connecting") return;
  const refused = new AbortController();
  const unsubscribe = mirror.on("error", (error) => {
    if (error.kind === "refused") refused.abort(error);
  });
  try {
    await mirror.waitFor(0, { timeoutMs: CONNECT_TIMEOUT_MS, signal: AbortSignal.any([signal, refused.signal]) });
  } catch (error) {
    throw refused.signal.aborted ? refused.signal.reason : error;
  } finally {
    unsubscribe();
  }
}

/** As long as a mirror waits by default. */
const CONNECT_TIMEOUT_MS = 10_000;

function keptOpen(transport: MirrorTransport): MirrorTransport {
  const { address, reportUsage } = transport;
  return {
    address,
    watch: (request, signal) => transport.watch(request, signal),
    ...(reportUsage !== undefined && { reportUsage: reportUsage.bind(transport) }),
    unref: () => transport.unref(),
    close: async () => {},
  };
}
