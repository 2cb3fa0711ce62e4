// The page: shows flags for one person, and follows them while it is open.
import { OpenFeature, ProviderEvents } from "@openfeature/web-sdk";
import { FlagwireWebProvider } from "flagwire/openfeature-web";

/** Put in when the page is bundled. */
declare const FLAGWIRE: { readonly address: string; readonly token?: string };

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const user = element<HTMLSelectElement>("user");
const pro = element<HTMLInputElement>("pro");
const flags = OpenFeature.getClient();

function show(): void {
  const isNew = flags.getBooleanValue("new-checkout", false);
  element("buy").textContent = isNew ? "Buy, by the new checkout" : "Buy";
  element("buy").style.background = flags.getStringValue("button-color", "#888888");
  element("flags").replaceChildren(
    row("new-checkout", flags.getBooleanDetails("new-checkout", false)),
    row("button-color", flags.getStringDetails("button-color", "#888888")),
    row("search", flags.getObjectDetails("search", {})),
  );
}

function row(key: string, { value, reason = "" }: { readonly value: unknown; readonly reason?: string }): HTMLElement {
  const cells = [key, JSON.stringify(value), reason].map((text) => {
    const cell = document.createElement("td");
    cell.textContent = text;
    return cell;
  });
  const line = document.createElement("tr");
  line.append(...cells);
  return line;
}

function say(status: string): void {
  element("status").textContent = status;
}

const context = () => ({ targetingKey: user.value, plan: pro.checked ? "pro" : "free" });
const changeContext = () => OpenFeature.setContext(context());
user.addEventListener("change", changeContext);
pro.addEventListener("change", changeContext);

OpenFeature.addHandler(ProviderEvents.Ready, () => say("Up to date. Change a flag, and look here."));
OpenFeature.addHandler(ProviderEvents.Stale, () => say("The server is away; these are the last values."));
OpenFeature.addHandler(ProviderEvents.Error, (event) => say(`No flags yet: ${event?.message}`));
for (const event of [ProviderEvents.Ready, ProviderEvents.ConfigurationChanged, ProviderEvents.ContextChanged]) {
  OpenFeature.addHandler(event, show);
}

await OpenFeature.setContext(context());
OpenFeature.setProvider(new FlagwireWebProvider(FLAGWIRE));
