// A service that asks for flags by OpenFeature's SDK, with Flagwire as its provider. In the checkout: npm run example:openfeature
import { createServer } from "node:http";
import { OpenFeature, ProviderEvents } from "@openfeature/server-sdk";
import { FlagwireProvider } from "flagwire/openfeature";

// All that this service knows of Flagwire. Whatever it asks is answered in this process, also while the server is away.
const { FLAGWIRE_ADDRESS: address = "127.0.0.1:8013", FLAGWIRE_TOKEN: token } = process.env;
const provider = new FlagwireProvider({ address, token, clientName: "openfeature example" });
await OpenFeature.setProviderAndWait(provider).catch((error: Error) => {
  console.error(`No flags: ${error.message}`);
  process.exit(1);
});

OpenFeature.addHandler(ProviderEvents.ConfigurationChanged, (event) => {
  console.log("changed:", event?.flagsChanged);
});
OpenFeature.addHandler(ProviderEvents.Stale, () => console.warn("the server is away; answering from what is known"));

// What holds for every question. The context of a question is put over it.
OpenFeature.setContext({ service: "shop", app: { version: "2.0.3" } });
const flags = OpenFeature.getClient();

const server = createServer(async (request, response) => {
  const query = new URLSearchParams(request.url?.split("?")[1]);
  const context = { targetingKey: query.get("user") ?? "anonymous", plan: query.get("plan") ?? "free" };
  const color = await flags.getStringDetails("button-color", "#888888", context);
  const answer = {
    color: color.value,
    because: color.reason,
    newCheckout: await flags.getBooleanValue("new-checkout", false, context),
    timeoutMs: await flags.getNumberValue("checkout-timeout-ms", 5000, context),
    search: await flags.getObjectValue("search", { maxResults: 10 }, context),
  };
  response.setHeader("content-type", "application/json").end(`${JSON.stringify(answer, undefined, 2)}\n`);
});

server.on("error", ({ message }) => {
  console.error(`${message}. Set PORT to one that is free.`);
  process.exitCode = 1;
  void OpenFeature.close();
});
server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  const listening = server.address();
  const port = typeof listening === "object" ? listening?.port : listening;
  console.log(`Try: curl 'http://127.0.0.1:${port}/?user=user-7&plan=pro'`);
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => server.close(() => void OpenFeature.close()));
}
