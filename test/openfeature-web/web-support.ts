import { type Client, OpenFeature, ProviderEvents } from "@openfeature/web-sdk";
import { onTestFinished, vi } from "vitest";
import { FlagwireWebProvider, type WebProviderOptions, type WebStorage } from "../../src/openfeature-web/index.js";
import type { RestartableServer } from "../server/admin-support.js";

/** What happened, in order: an event's name, with the keys of a change. */
export type Seen = string[];

/** The SDK with a provider of its own, which ends with the test. */
export interface Page {
  readonly provider: FlagwireWebProvider;
  readonly client: Client;
  readonly seen: Seen;
  /** How starting ended. */
  readonly started: Promise<"ready" | Error>;
  setContext(context: object): Promise<void>;
  /** Resolves when the last that happened is this. */
  until(event: string): Promise<void>;
}

/** Short times, so that nobody waits for the default ones. */
export const QUICK: WebProviderOptions = {
  timeouts: { staleAfterMs: 50, initTimeoutMs: 4_000, fallbackAfterMs: 1_000, pollIntervalMs: 20 },
  backoff: { minMs: 10, maxMs: 50 },
};

const EVENTS = [
  ProviderEvents.Ready,
  ProviderEvents.Error,
  ProviderEvents.Stale,
  ProviderEvents.ConfigurationChanged,
  ProviderEvents.Reconciling,
  ProviderEvents.ContextChanged,
] as const;

let pages = 0;
const quiet = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };
OpenFeature.setLogger(quiet);

export function openPage(options: WebProviderOptions, context: object = {}): Page {
  onTestFinished(async () => {
    await OpenFeature.clearProviders();
    await OpenFeature.clearContexts();
  });
  const domain = `page-${pages++}`;
  const provider = new FlagwireWebProvider({ storage: false, ...QUICK, ...options });
  const client = OpenFeature.getClient(domain);
  const seen: Seen = [];
  for (const event of EVENTS) {
    client.addHandler(event, (details) => {
      const keys = details !== undefined && "flagsChanged" in details ? `:${details.flagsChanged}` : "";
      seen.push(event.replace(/^PROVIDER_/, "").toLowerCase() + keys);
    });
  }
  // What the SDK's own provider said of itself.
  seen.length = 0;
  const started = (async () => {
    await OpenFeature.setContext(domain, context as never);
    return OpenFeature.setProviderAndWait(domain, provider).then(
      () => "ready" as const,
      (error: Error) => error,
    );
  })();
  return {
    provider,
    client,
    seen,
    started,
    setContext: (next) => OpenFeature.setContext(domain, next as never),
    until: (event) =>
      vi.waitFor(
        () => {
          if (!seen.at(-1)?.startsWith(event)) throw new Error(`saw ${seen}`);
        },
        { timeout: 8_000, interval: 5 },
      ),
  };
}

/** A page of a server, with values. */
export async function openReadyPage(
  server: Pick<RestartableServer, "address">,
  context: object = {},
  options: WebProviderOptions = {},
): Promise<Page> {
  const page = openPage({ address: server.address, ...options }, context);
  const outcome = await page.started;
  if (outcome !== "ready") throw outcome;
  return page;
}

/** Like a browser's. */
export class MemoryStorage implements WebStorage {
  readonly items = new Map<string, string>();

  getItem(key: string): string | null {
    return this.items.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    this.items.set(key, value);
  }

  removeItem(key: string): void {
    this.items.delete(key);
  }
}
