import { OpenFeature, ProviderEvents } from "@openfeature/web-sdk";
import { FlagwireWebProvider } from "../../../src/openfeature-web/index.js";

// A page as an application has it: it shows a flag, and what there is to know of it.

/** As much of a browser as is used. */
interface Browser {
  readonly document: { querySelector(selector: string): { textContent: string; className: string } };
  readonly location: { readonly search: string };
  /** For the test: another user logs in. */
  logIn(user: string): Promise<void>;
}

const browser = globalThis as unknown as Browser;
const parameters = new URLSearchParams(browser.location.search);
const client = OpenFeature.getClient();
const events: string[] = [];

function put(selector: string, text: string): void {
  browser.document.querySelector(selector).textContent = text;
}

function show(): void {
  const { value, variant, reason } = client.getStringDetails("greeting", "Hello (by default)");
  put("#greeting", value);
  put("#details", `${variant ?? "no variant"}, ${reason}`);
  put("#status", client.providerStatus);
  put("#events", events.join(" "));
}

for (const event of Object.values(ProviderEvents)) {
  client.addHandler(event, (details) => {
    const keys = details !== undefined && "flagsChanged" in details ? `(${details.flagsChanged})` : "";
    if (event === ProviderEvents.Error) put("#error", details?.message ?? "");
    events.push(event.replace("PROVIDER_", "").toLowerCase() + keys);
    show();
  });
}
browser.logIn = (user) => OpenFeature.setContext({ targetingKey: user });

await OpenFeature.setContext({ targetingKey: parameters.get("user") ?? "" });
OpenFeature.setProvider(
  new FlagwireWebProvider({
    address: parameters.get("server") ?? "",
    timeouts: { staleAfterMs: 100, fallbackAfterMs: 500 },
    backoff: { minMs: 50, maxMs: 200 },
  }),
);
show();
