import type { Fetch } from "./connect-client.js";
import type { WebStorage } from "./value-cache.js";

/**
 * How changes come: by a stream, which is one connection for as long as the page is open; by asking again and again; or not at
 * all, until the context changes.
 */
export type FollowMode = "stream" | "poll" | false;

/** The times that the provider works with, all in milliseconds. */
export interface WebProviderTimes {
  /** How long starting, or another context, may take where there are no stored values. Default 5 s. A failure ends it at once. */
  readonly initTimeoutMs: number;
  /** The same where there are some: then these are used until the server has answered. Default 1 s. */
  readonly fallbackAfterMs: number;
  /** How long the server may be out of reach before what is known counts as stale. Default 5 s. */
  readonly staleAfterMs: number;
  /** How long a new stream may say nothing before it counts as held back by a proxy. Default 3 s. */
  readonly firstMessageTimeoutMs: number;
  /** How long a stream may say nothing later on. Default 35 s: servers speak every 15 s. */
  readonly silenceTimeoutMs: number;
  /** How long the answer to a single call may take. Default 10 s. */
  readonly callTimeoutMs: number;
  /** The longest pause between polls, with jitter between half of it and all of it. Default 30 s. */
  readonly pollIntervalMs: number;
  /** How long it polls, where streams do not get through, before it tries one again. Default 5 min. */
  readonly streamRetryMs: number;
}

/** As much of a clock as is used. */
export interface WebClock {
  /** Milliseconds since some fixed moment. */
  monotonicMs(): number;
  /** Calls `action` once, after so many milliseconds, until the function returned is called. */
  after(delayMs: number, action: () => void): () => void;
}

/** How to reach a server from a page. No type of Node's is in it, nor in what it imports: applications for browsers have none. */
export interface WebProviderOptions {
  /**
   * The server, such as `https://flags.example.com`; a path in it is put before those of the calls, and `host:port` means plain
   * HTTP. Default: where the page comes from.
   */
  readonly address?: string | undefined;
  /** Default `production`. */
  readonly environment?: string | undefined;
  /** Sent with every call. Whoever can load the page can read it. */
  readonly token?: string | undefined;
  /** Which flags. Default all: name those that the page uses where there are many. */
  readonly flagKeys?: readonly string[];
  /**
   * Names or paths of attributes that the server evaluates, but neither keeps nor tells to anybody, such as `email`. Default none,
   * but for those of the environment.
   */
  readonly privateAttributes?: readonly string[];
  /** Where the last values are kept for times without a server; `false`: nowhere. Default the browser's `localStorage`. */
  readonly storage?: WebStorage | false;
  /** Default `stream`, which becomes polling by itself where streams do not get through. */
  readonly follow?: FollowMode;
  /** Default: see WebProviderTimes. */
  readonly timeouts?: Partial<WebProviderTimes>;
  /** Pauses between attempts. Default from half a second to half a minute, with jitter. */
  readonly backoff?: { readonly minMs?: number; readonly maxMs?: number };
  /** Default: the runtime's. */
  readonly fetch?: Fetch;
  /** Default: the machine's. */
  readonly clock?: WebClock;
  /** Default: the runtime's. */
  readonly random?: () => number;
}
