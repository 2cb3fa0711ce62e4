import { type BackoffOptions, type Random, systemClock, systemRandom } from "../base/index.js";
import type { Fetch } from "./connect-client.js";
import type { WebStorage } from "./value-cache.js";
import type { FollowMode, WebClock, WebProviderOptions, WebProviderTimes } from "./web-provider-options.js";

/** All that the provider needs, resolved. */
export interface WebSettings {
  readonly baseUrl: string;
  readonly foreignOrigin: string | undefined;
  readonly environment: string;
  readonly token: string | undefined;
  readonly flagKeys: readonly string[];
  readonly privateAttributes: readonly string[];
  readonly storage: WebStorage | undefined;
  readonly follow: FollowMode;
  readonly times: WebProviderTimes;
  readonly backoff: BackoffOptions;
  readonly fetch: Fetch;
  readonly clock: WebClock;
  readonly random: Random;
  /** Calls `action` whenever there is a network again, until the function returned is called. */
  readonly onOnline: (action: () => void) => () => void;
}

/** What a browser has. */
interface Page {
  readonly location?: { readonly origin: string; readonly href: string };
  readonly localStorage?: WebStorage;
  addEventListener?(event: "online", action: () => void): void;
  removeEventListener?(event: "online", action: () => void): void;
}

const page = globalThis as Page;

/** Throws a `TypeError` for an address or a time that is none. */
export function resolveWebOptions(options: WebProviderOptions): WebSettings {
  const settings = toSettings(options);
  checkTimes("timeouts", settings.times);
  checkTimes("backoff", settings.backoff);
  return settings;
}

function toSettings(options: WebProviderOptions): WebSettings {
  const { backoff = {}, timeouts = {} } = options;
  const baseUrl = toBaseUrl(options.address);
  const { origin } = page.location ?? {};
  return {
    baseUrl,
    foreignOrigin: new URL(baseUrl).origin === origin ? undefined : origin,
    environment: options.environment ?? "production",
    token: options.token,
    flagKeys: options.flagKeys ?? [],
    privateAttributes: options.privateAttributes ?? [],
    storage: options.storage === false ? undefined : (options.storage ?? browserStorage()),
    follow: options.follow ?? "stream",
    times: {
      initTimeoutMs: timeouts.initTimeoutMs ?? 5_000,
      fallbackAfterMs: timeouts.fallbackAfterMs ?? 1_000,
      staleAfterMs: timeouts.staleAfterMs ?? 5_000,
      firstMessageTimeoutMs: timeouts.firstMessageTimeoutMs ?? 3_000,
      silenceTimeoutMs: timeouts.silenceTimeoutMs ?? 35_000,
      callTimeoutMs: timeouts.callTimeoutMs ?? 10_000,
      pollIntervalMs: timeouts.pollIntervalMs ?? 30_000,
      streamRetryMs: timeouts.streamRetryMs ?? 300_000,
    },
    backoff: { minMs: backoff.minMs ?? 500, maxMs: backoff.maxMs ?? 30_000 },
    // Looked up with each call: whoever watches calls puts its own in this place.
    fetch: options.fetch ?? ((url, init) => fetch(url, init)),
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    onOnline: (action) => {
      page.addEventListener?.("online", action);
      return () => page.removeEventListener?.("online", action);
    },
  };
}

function toBaseUrl(address: string | undefined): string {
  const { origin, href } = page.location ?? {};
  // Of a page from a file, or in a frame without one, it is the text `null`.
  const given = address ?? (origin === "null" ? undefined : origin);
  if (given === undefined) throw new TypeError("there is no page whose origin could be the server: name an address");
  // What begins with a slash is a path of the page's own origin.
  const text = /^\/|:\/\//.test(given) ? given : `http://${given}`;
  try {
    const { protocol, origin: host, pathname, username, password, search, hash } = new URL(text, href);
    // What a browser calls nobody with, or what would come before the paths of the calls.
    const isMore = username + password + search + hash !== "";
    // An empty query or fragment is not seen in these, but is in the URL's text.
    if (/^https?:$/.test(protocol) && !isMore) return (host + pathname).replace(/\/+$/, "");
  } catch {
    // It is none.
  }
  throw new TypeError(`not an address: ${JSON.stringify(given)}. Expected host:port, or an http:// or https:// URL`);
}

/** A pause that is none would never stop. */
const PAUSES: ReadonlySet<string> = new Set(["pollIntervalMs", "minMs", "maxMs"]);

function checkTimes(option: string, times: object): void {
  for (const [name, ms] of Object.entries(times)) {
    const isTime = typeof ms === "number" && (PAUSES.has(name) ? ms > 0 : ms >= 0);
    if (isTime) continue;
    const expected = `a number of milliseconds${PAUSES.has(name) ? ", more than 0" : ""}`;
    throw new TypeError(`${option}.${name} must be ${expected}, not ${String(ms)}`);
  }
}

/** Where it is switched off, a browser throws. */
function browserStorage(): WebStorage | undefined {
  try {
    return page.localStorage;
  } catch {
    return undefined;
  }
}
