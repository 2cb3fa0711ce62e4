import { type ClientRequest, get } from "node:http";
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OFREPWebProvider, type OFREPWebProviderOptions } from "@openfeature/ofrep-web-provider";
import { OpenFeature } from "@openfeature/server-sdk";
import { OpenFeature as OpenFeatureWeb, type Provider, ProviderEvents } from "@openfeature/web-sdk";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { flag, serve } from "../engine/build.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { VirtualClock } from "../support/virtual-clock.js";
import { commitItems, someFlags } from "./ofrep-support.js";

let server: TestServer;
let baseUrl: string;

beforeAll(async () => {
  server = await openTestServer();
  baseUrl = `http://${server.address}`;
  await commitItems(server, someFlags);
});

afterAll(async () => {
  await OpenFeature.close();
  await OpenFeatureWeb.close();
  await server[Symbol.asyncDispose]();
});

/** Flags, what a caller asks for, and what it gets by either provider. */
const answers = [
  [
    "boolean",
    false,
    { value: true, variant: "on", reason: "STATIC", flagMetadata: { team: "web", level: 2, live: true } },
  ],
  ["string", "", { value: "B", variant: "b", reason: "TARGETING_MATCH" }],
  ["number", 0, { value: 1.5, variant: "a", reason: "STATIC" }],
  ["object", {}, { value: { list: [1, "zwei"], none: null }, variant: "a", reason: "STATIC" }],
  ["split", "", { value: "B", variant: "b", reason: "SPLIT" }],
  ["disabled", "mine", { value: "OFF", variant: "off", reason: "DISABLED" }],
  [
    "killed",
    "mine",
    { value: "OFF", variant: "off", reason: "DISABLED", flagMetadata: { "flagwire.reason": "KILLED" } },
  ],
  ["needs", "mine", { value: "OFF", variant: "off", reason: "DISABLED" }],
  ["missing", "mine", { value: "mine", reason: "ERROR", errorCode: "FLAG_NOT_FOUND" }],
  ["malformed", "mine", { value: "mine", reason: "ERROR", errorCode: "PARSE_ERROR" }],
  ["string", 7, { value: 7, reason: "ERROR", errorCode: "TYPE_MISMATCH" }],
] as const;

const context = { targetingKey: "user-1", plan: "pro" };

/** What either client has for each type. */
interface AnyClient {
  getBooleanDetails(key: string, value: boolean, context?: object): unknown;
  getStringDetails(key: string, value: string, context?: object): unknown;
  getNumberDetails(key: string, value: number, context?: object): unknown;
  getObjectDetails(key: string, value: object, context?: object): unknown;
}

/** Asks for the type of the default. */
function detailsOf(client: AnyClient, key: string, defaultValue: unknown, subject?: object): unknown {
  switch (typeof defaultValue) {
    case "boolean":
      return client.getBooleanDetails(key, defaultValue, subject);
    case "string":
      return client.getStringDetails(key, defaultValue, subject);
    case "number":
      return client.getNumberDetails(key, defaultValue, subject);
    default:
      return client.getObjectDetails(key, {}, subject);
  }
}

async function openWeb(domain: string, options: Partial<OFREPWebProviderOptions> = {}): Promise<void> {
  await OpenFeatureWeb.setContext(domain, context);
  const provider = new OFREPWebProvider({ baseUrl, cacheMode: "disabled", ...options });
  // Its optional members may be undefined, which our compiler options tell from missing.
  await OpenFeatureWeb.setProviderAndWait(domain, provider as Provider);
}

describe("the provider for servers", () => {
  it.each(answers)("resolves %s, asked for with %j", async (key, defaultValue, expected) => {
    await OpenFeature.setProviderAndWait("server", new OFREPProvider({ baseUrl }));
    const client = OpenFeature.getClient("server");
    expect(await detailsOf(client, key, defaultValue, context)).toMatchObject({ flagKey: key, ...expected });
  });

  it("takes its caller's default where a flag has no value", async () => {
    await OpenFeature.setProviderAndWait("server", new OFREPProvider({ baseUrl }));
    const client = OpenFeature.getClient("server");
    // An answer without a value is one that this version does not know.
    const expected = { value: "mine", errorCode: "GENERAL" };
    expect(await client.getStringDetails("bare", "mine", context)).toMatchObject(expected);
    expect(await client.getStringDetails("no default", "mine", context)).toMatchObject(expected);
  });

  it("says which flag needs a targeting key", async () => {
    await OpenFeature.setProviderAndWait("server", new OFREPProvider({ baseUrl }));
    const details = await OpenFeature.getClient("server").getStringDetails("split", "mine");
    expect(details).toMatchObject({ value: "mine", errorCode: "TARGETING_KEY_MISSING" });
  });

  it("pauses where it asks too often, and goes on later", async () => {
    const clock = new VirtualClock();
    await using slow = await openTestServer({ clock, web: { ofrepRequestsPerSecond: 1 } });
    await commitItems(slow, someFlags);
    const asked: number[] = [];
    const fetchImplementation: typeof fetch = async (...parameters) => {
      const response = await fetch(...parameters);
      asked.push(response.status);
      return response;
    };
    const provider = new OFREPProvider({ baseUrl: `http://${slow.address}`, fetchImplementation });
    await OpenFeature.setProviderAndWait("slow", provider);
    const client = OpenFeature.getClient("slow");
    expect((await client.getBooleanDetails("boolean", false)).reason).toBe("STATIC");
    expect((await client.getBooleanDetails("boolean", false)).errorCode).toBe("GENERAL");
    expect((await client.getBooleanDetails("boolean", false)).errorMessage).toContain("paused");
    expect(asked).toEqual([200, 429]);
  });
});

describe("the provider for browsers", () => {
  it.each(answers)("resolves %s, asked for with %j", async (key, defaultValue, expected) => {
    await openWeb("web");
    const client = OpenFeatureWeb.getClient("web");
    expect(await detailsOf(client, key, defaultValue)).toMatchObject({ flagKey: key, ...expected });
  });

  it.each([
    ["bare", "DISABLED"],
    ["no default", "DEFAULT"],
  ])("takes its caller's default where %s has no value", async (key, reason) => {
    await openWeb("web");
    const details = OpenFeatureWeb.getClient("web").getStringDetails(key, "mine");
    expect(details).toMatchObject({ value: "mine", reason });
    expect(details.errorCode).toBeUndefined();
  });

  it("is not sent what it has, and follows a change", async () => {
    const statuses: number[] = [];
    const fetchImplementation: typeof fetch = async (...parameters) => {
      const response = await fetch(...parameters);
      statuses.push(response.status);
      return response;
    };
    await openWeb("polling", { pollInterval: 20, changeDetection: "polling", fetchImplementation });
    const client = OpenFeatureWeb.getClient("polling");
    const changed: (readonly string[])[] = [];
    client.addHandler(ProviderEvents.ConfigurationChanged, (event) => void changed.push(event?.flagsChanged ?? []));
    await expect.poll(() => statuses.at(-1), { interval: 5 }).toBe(304);
    expect(changed).toEqual([]);
    await commitItems(server, [flag("string", { default: serve("c") })]);
    await expect.poll(() => client.getStringValue("string", ""), { interval: 5 }).toBe("C");
    await commitItems(server, someFlags);
    await expect.poll(() => client.getStringValue("string", ""), { interval: 5 }).toBe("B");
    // The other flag requires this one.
    expect(changed).toEqual([
      ["needs", "string"],
      ["needs", "string"],
    ]);
  });

  it("follows changes by the stream that it is told of", async () => {
    vi.stubGlobal("EventSource", PlainEventSource);
    await openWeb("events");
    const client = OpenFeatureWeb.getClient("events");
    await expect.poll(() => PlainEventSource.opened, { interval: 5 }).toBe(1);
    await commitItems(server, [flag("string", { default: serve("c") })]);
    await expect.poll(() => client.getStringValue("string", ""), { interval: 5 }).toBe("C");
    await commitItems(server, someFlags);
    await expect.poll(() => client.getStringValue("string", ""), { interval: 5 }).toBe("B");
    expect(PlainEventSource.opened).toBe(1);
    await OpenFeatureWeb.close();
    vi.unstubAllGlobals();
  });
});

/** As much of a browser's EventSource as the provider uses: Node 20 has none. */
class PlainEventSource extends EventTarget {
  static opened = 0;
  readonly readyState = 1;
  readonly #request: ClientRequest;

  constructor(url: string) {
    super();
    this.#request = get(url, { agent: false }, (response) => {
      PlainEventSource.opened += 1;
      let text = "";
      response.on("data", (chunk) => {
        const blocks = (text + chunk).split("\n\n");
        text = blocks.pop() ?? "";
        for (const block of blocks) this.#dispatch(block);
      });
      response.on("error", () => {});
    });
    this.#request.on("error", () => {});
  }

  close(): void {
    this.#request.destroy();
  }

  #dispatch(block: string): void {
    const data = /^data: (.*)$/m.exec(block)?.[1];
    if (data !== undefined) this.dispatchEvent(new MessageEvent("message", { data }));
  }
}
