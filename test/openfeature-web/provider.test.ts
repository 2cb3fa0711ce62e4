import { fromJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { ErrorCode, OpenFeature, ProviderEvents, ProviderStatus } from "@openfeature/web-sdk";
import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { FlagKind, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { toEnvelope } from "../../src/openfeature-web/envelopes.js";
import { FlagwireWebProvider } from "../../src/openfeature-web/index.js";
import {
  booleanFlag,
  match,
  number,
  openServer,
  type RestartableServer,
  rule,
  serve,
  stringFlag,
  text,
} from "../server/admin-support.js";
import { VirtualClock } from "../support/virtual-clock.js";
import { MemoryStorage, openPage, openReadyPage } from "./web-support.js";

const ann = { targetingKey: "ann", plan: "pro" };
const bob = { targetingKey: "bob", plan: "free" };

let server: RestartableServer;
beforeEach(async () => {
  server = await openServer();
  // Answers with the plan's name.
  await server.admin.createFlag({
    flag: stringFlag("greeting", ["free", "pro"], { metadata: { team: "web" } }),
    targeting: {
      enabled: true,
      offVariant: "free",
      default: serve("free"),
      rules: [rule(match("plan", Operator.IN, text("pro")), "pro", "pros")],
    },
  });
});

const killGreeting = () => server.admin.killFlags({ flagKeys: ["greeting"], reason: "r" });
/** On the same port, as the page knows it. */
const restart = () => server.restart({ listen: { host: "127.0.0.1", port: Number(server.address.split(":")[1]) } });

describe("a resolution", () => {
  it("has the value, variant, reason and metadata of each type", async () => {
    const { admin } = server;
    const kind = FlagKind.OPERATIONAL;
    const object = { kind: { case: "structValue", value: { fields: { size: number(3) } } } } as const;
    const targeting = { enabled: true, default: serve("v") };
    await admin.createFlag({ flag: booleanFlag("b"), targeting: { enabled: true, default: serve("on") } });
    await admin.createFlag({
      flag: { key: "n", type: FlagType.NUMBER, kind, variants: { v: number(1.5) } },
      targeting,
    });
    await admin.createFlag({ flag: { key: "o", type: FlagType.OBJECT, kind, variants: { v: object } }, targeting });
    const { client } = await openReadyPage(server, ann);
    expect(client.getBooleanDetails("b", false)).toMatchObject({ value: true, variant: "on", reason: "STATIC" });
    expect(client.getNumberDetails("n", 0)).toMatchObject({ value: 1.5, variant: "v", reason: "STATIC" });
    expect(client.getObjectDetails("o", {})).toMatchObject({ value: { size: 3 }, variant: "v" });
    expect(client.getStringDetails("greeting", "?")).toEqual({
      flagKey: "greeting",
      value: "pro",
      variant: "pro",
      reason: "TARGETING_MATCH",
      flagMetadata: { flagSetId: "production", version: "5", team: "web", "flagwire.ruleId": "pros" },
    });
  });

  it("is the default and an error code where there is no such flag, or it is of another type", async () => {
    const { client } = await openReadyPage(server, ann);
    expect(client.getBooleanDetails("nothing", true)).toMatchObject({
      value: true,
      reason: "ERROR",
      errorCode: ErrorCode.FLAG_NOT_FOUND,
    });
    expect(client.getBooleanDetails("greeting", true)).toMatchObject({
      value: true,
      errorCode: ErrorCode.TYPE_MISMATCH,
      errorMessage: expect.stringContaining("not of type boolean but string"),
    });
    expect(client.getObjectDetails("greeting", {})).toMatchObject({ errorCode: ErrorCode.TYPE_MISMATCH });
  });

  it("is the default without an error where the flag is off and has nothing for that", async () => {
    await server.admin.createFlag({ flag: booleanFlag("off") });
    await server.admin.updateTargeting({ targeting: { flagKey: "off", enabled: false } });
    const { client } = await openReadyPage(server, ann);
    const details = client.getBooleanDetails("off", true);
    expect(details).toMatchObject({ value: true, reason: "DISABLED" });
    expect(details.errorCode).toBeUndefined();
  });

  it("says in OpenFeature's terms why there is no answer", async () => {
    const rollout = { shares: [{ variant: "on", weight: 1 }] };
    await server.admin.createFlag({
      flag: booleanFlag("split"),
      targeting: { enabled: true, default: { kind: { case: "rollout", value: rollout } } },
    });
    const { client } = await openReadyPage(server, {});
    expect(client.getBooleanDetails("split", false).errorCode).toBe(ErrorCode.TARGETING_KEY_MISSING);
  });

  it("is asked for with attributes that are evaluated and told to nobody", async () => {
    const bodies: string[] = [];
    const watching: typeof fetch = (url, init) => {
      bodies.push(Buffer.from(init?.body as never).toString());
      return fetch(url, init);
    };
    const privateAttributes = ["plan"];
    const { client } = await openReadyPage(server, ann, { privateAttributes, fetch: watching as never });
    expect(client.getStringValue("greeting", "?")).toBe("pro");
    expect(bodies).toEqual([expect.stringContaining('"privateAttributes":["plan"]')]);
  });

  it("is asked of the server only for the flags that are named", async () => {
    await server.admin.createFlag({ flag: booleanFlag("other"), targeting: { enabled: true, default: serve("on") } });
    const { client } = await openReadyPage(server, ann, { flagKeys: ["greeting"] });
    expect(client.getStringValue("greeting", "?")).toBe("pro");
    expect(client.getBooleanDetails("other", false).errorCode).toBe(ErrorCode.FLAG_NOT_FOUND);
  });
});

describe("a value", () => {
  it("is not the page's to change", async () => {
    const storage = new MemoryStorage();
    await server.admin.createFlag({
      flag: {
        key: "o",
        type: FlagType.OBJECT,
        kind: FlagKind.OPERATIONAL,
        variants: { v: fromJson(ValueSchema, { list: [1] }) },
      },
      targeting: { enabled: true, default: serve("v") },
    });
    const live = await openReadyPage(server, ann, { storage });
    await server.stop();
    const stored = openPage({ address: server.address, storage }, ann);
    await stored.started;
    for (const { client } of [live, stored]) {
      const value = client.getObjectValue<{ list: number[] }>("o", { list: [] });
      expect(() => value.list.push(2)).toThrow(TypeError);
      expect(() => Object.assign(value, { more: 1 })).toThrow(TypeError);
      expect(client.getObjectValue("o", {})).toEqual({ list: [1] });
    }
  });
});

describe("a change", () => {
  it("is told with its keys, and has been made by then", async () => {
    const { client, seen, until } = await openReadyPage(server, ann);
    await killGreeting();
    await until("configuration_changed");
    expect(seen).toEqual(["ready", "configuration_changed:greeting"]);
    expect(client.getStringDetails("greeting", "?")).toMatchObject({ value: "free", reason: "KILLED" });
    await server.admin.deleteFlag({ key: "greeting" });
    await vi.waitFor(() => expect(seen).toHaveLength(3));
    expect(client.getStringDetails("greeting", "?").errorCode).toBe(ErrorCode.FLAG_NOT_FOUND);
  });
});

describe("another context", () => {
  it("brings its own values, once they are there", async () => {
    const { client, seen, setContext } = await openReadyPage(server, ann);
    await setContext(bob);
    expect(client.getStringValue("greeting", "?")).toBe("free");
    await setContext({ ...bob, plan: "pro" });
    expect(client.getStringValue("greeting", "?")).toBe("pro");
    expect(seen).toEqual(["ready", "reconciling", "context_changed", "reconciling", "context_changed"]);
  });

  it("is given nobody else's values meanwhile, but may be given the subject's own", async () => {
    let isSlow = false;
    const slowly: typeof fetch = (url, init) => (isSlow ? new Promise(() => {}) : fetch(url, init));
    const { client, setContext } = await openReadyPage(server, ann, { fetch: slowly as never });
    isSlow = true;
    void setContext({ ...ann, theme: "dark" });
    await vi.waitFor(() => expect(client.providerStatus).toBe(ProviderStatus.RECONCILING));
    expect(client.getStringDetails("greeting", "?")).toMatchObject({ value: "pro", reason: "STALE" });
    void setContext(bob);
    await vi.waitFor(() =>
      expect(client.getStringDetails("greeting", "?")).toMatchObject({
        value: "?",
        errorCode: ErrorCode.PROVIDER_NOT_READY,
      }),
    );
  });

  it("without a targeting key is nobody's in particular, and is given no values of another", async () => {
    let isSlow = false;
    const slowly: typeof fetch = (url, init) => (isSlow ? new Promise(() => {}) : fetch(url, init));
    const { client, setContext } = await openReadyPage(
      server,
      { user: "ann", plan: "pro" },
      { fetch: slowly as never },
    );
    isSlow = true;
    void setContext({ user: "bob" });
    await vi.waitFor(() => expect(client.providerStatus).toBe(ProviderStatus.RECONCILING));
    expect(client.getStringDetails("greeting", "?").errorCode).toBe(ErrorCode.PROVIDER_NOT_READY);
  });

  it("with a targeting key that is no text has none", async () => {
    const { client } = await openReadyPage(server, { targetingKey: 7, plan: "pro" });
    expect(client.getStringDetails("greeting", "?")).toMatchObject({ value: "pro", reason: "TARGETING_MATCH" });
  });

  it("that follows before the first has its values decides alone", async () => {
    const { client, setContext, seen } = await openReadyPage(server, ann);
    const changes = [setContext(bob), setContext(ann), setContext({ ...bob, plan: "pro" }), setContext(bob)];
    await Promise.all(changes);
    expect(client.getStringValue("greeting", "?")).toBe("free");
    expect(seen.filter((event) => event === "context_changed")).toHaveLength(1);
  });

  it("that is equal asks nothing", async () => {
    let calls = 0;
    const counting: typeof fetch = (url, init) => {
      calls += 1;
      return fetch(url, init);
    };
    const { setContext } = await openReadyPage(server, { a: 1, b: { c: 2, d: 3 } }, { fetch: counting as never });
    await setContext({ b: { d: 3, c: 2 }, a: 1 });
    expect(calls).toBe(1);
  });

  it("that is no JSON is refused, and the values of the one before are given no longer", async () => {
    const { client, seen, setContext } = await openReadyPage(server, ann);
    const endless: Record<string, unknown> = { targetingKey: "ann" };
    endless.self = endless;
    await setContext(endless);
    expect(seen.at(-1)).toBe("error");
    expect(client.getStringDetails("greeting", "?").errorCode).toBe(ErrorCode.PROVIDER_NOT_READY);
  });

  it("with a date in it is evaluated as what JSON makes of one", async () => {
    await server.admin.createFlag({
      flag: booleanFlag("old"),
      targeting: {
        enabled: true,
        default: serve("off"),
        rules: [rule(match("since", Operator.BEFORE, text("2020-01-01T00:00:00Z")), "on")],
      },
    });
    const { client } = await openReadyPage(server, { since: new Date(0) });
    expect(client.getBooleanValue("old", false)).toBe(true);
  });
});

describe("a server that dies", () => {
  it("leaves the values, which become stale, and brings what changed when it returns", async () => {
    const { client, seen, until } = await openReadyPage(server, ann);
    await server.stop();
    await until("stale");
    expect(client.providerStatus).toBe(ProviderStatus.STALE);
    expect(client.getStringDetails("greeting", "?")).toMatchObject({ value: "pro", reason: "TARGETING_MATCH" });
    await restart();
    await until("ready");
    expect(client.getStringDetails("greeting", "?")).toMatchObject({ value: "pro", reason: "TARGETING_MATCH" });
    await killGreeting();
    await until("configuration_changed");
    expect(seen).toEqual(["ready", "stale", "ready", "configuration_changed:greeting"]);
  });

  it("leaves them stale also where the same context is set again", async () => {
    const { client, seen, setContext, until } = await openReadyPage(server, ann);
    await server.stop();
    await until("stale");
    await setContext({ ...ann });
    await vi.waitFor(() => expect(seen.filter((event) => event === "stale")).toHaveLength(2));
    expect(client.providerStatus).toBe(ProviderStatus.STALE);
  });

  it("is told once where the same context is set twice before that", async () => {
    const clock = new VirtualClock();
    const { seen, setContext } = await openReadyPage(server, ann, { clock });
    await server.stop();
    await vi.waitFor(() => expect(clock.pendingTimers).toBe(2));
    await clock.advance(50);
    expect(seen).toEqual(["ready", "stale"]);
    await Promise.all([setContext({ ...ann }), setContext({ ...ann })]);
    await clock.advance(50);
    expect(seen.filter((event) => event === "stale")).toHaveLength(2);
  });

  it("is told of with what was wrong last, not first", async () => {
    const clock = new VirtualClock();
    const messages: (string | undefined)[] = [];
    let isRefused = false;
    const refusing: typeof fetch = async (url, init) =>
      isRefused
        ? Response.json({ code: "unauthenticated", message: "the token is unknown" }, { status: 401 })
        : fetch(url, init);
    const timeouts = { staleAfterMs: 5_000 };
    const options = { clock, timeouts, fetch: refusing as never };
    const { client, setContext } = await openReadyPage(server, ann, options);
    client.addHandler(ProviderEvents.Stale, (event) => messages.push(event?.message));
    isRefused = true;
    await server.stop();
    await vi.waitFor(() => expect(clock.pendingTimers).toBe(2));
    await clock.advance(5_000);
    expect(messages).toEqual([`http://${server.address}: the token is unknown`]);
    await setContext({ ...ann });
    await clock.advance(0);
    expect(messages).toEqual([messages[0], messages[0]]);
  });

  it("is asked again soon when the browser is online again, however often it failed before", async () => {
    const clock = new VirtualClock();
    const listeners = new Set<() => void>();
    vi.stubGlobal(
      "addEventListener",
      (event: string, action: () => void) => event === "online" && listeners.add(action),
    );
    vi.stubGlobal("removeEventListener", (_event: string, action: () => void) => listeners.delete(action));
    onTestFinished(() => void vi.unstubAllGlobals());
    let calls = 0;
    const offline = async (): Promise<Response> => {
      calls += 1;
      throw new TypeError("Failed to fetch");
    };
    const backoff = { minMs: 100, maxMs: 3_600_000 };
    const options = { address: server.address, clock, fetch: offline, backoff, random: () => 0.9999 };
    const { provider } = openPage(options, ann);
    await clock.advance(600_000);
    const before = calls;
    await clock.advance(1_000);
    expect(calls).toBe(before);
    for (const tell of listeners) tell();
    await clock.advance(200);
    expect(calls).toBe(before + 1);
    await clock.advance(200);
    expect(calls).toBe(before + 2);
    await provider.onClose();
    expect([listeners.size, clock.pendingTimers]).toEqual([0, 0]);
  });

  it("and is back soon leaves no trace", async () => {
    const timeouts = { staleAfterMs: 10_000 };
    const { client, seen, until } = await openReadyPage(server, ann, { timeouts });
    await restart();
    await killGreeting();
    await until("configuration_changed");
    expect(client.getStringValue("greeting", "?")).toBe("free");
    expect(seen).toEqual(["ready", "configuration_changed:greeting"]);
  });
});

describe("a start without a server", () => {
  it("gives the last values of the same context, stale, until the server is there", async () => {
    const storage = new MemoryStorage();
    await openReadyPage(server, ann, { storage });
    await server.stop();
    const { client, seen, started, until } = openPage({ address: server.address, storage }, ann);
    expect(await started).toBe("ready");
    await until("stale");
    expect(client.providerStatus).toBe(ProviderStatus.STALE);
    expect(client.getStringDetails("greeting", "?")).toMatchObject({
      value: "pro",
      reason: "CACHED",
      flagMetadata: { team: "web" },
    });
    await restart();
    await until("ready");
    expect(client.getStringDetails("greeting", "?").reason).toBe("TARGETING_MATCH");
    expect(seen).toEqual(["ready", "stale", "ready"]);
  });

  it("and without values fails, and becomes ready when the server is there", async () => {
    await server.stop();
    const { client, started, until } = openPage({ address: server.address }, ann);
    expect(await started).toMatchObject({ code: ErrorCode.PROVIDER_NOT_READY });
    expect(client.providerStatus).toBe(ProviderStatus.ERROR);
    expect(client.getStringDetails("greeting", "?")).toMatchObject({
      value: "?",
      errorCode: ErrorCode.PROVIDER_NOT_READY,
    });
    await restart();
    await until("ready");
    expect(client.getStringValue("greeting", "?")).toBe("pro");
  });

  it.each([
    ["another subject", bob, {}],
    ["the same subject with other attributes", { ...ann, plan: "free" }, {}],
    ["another environment", ann, { environment: "staging" }],
    ["other flags", ann, { flagKeys: ["greeting"] }],
  ])("gives no values that were stored for %s", async (_name, context, options) => {
    const storage = new MemoryStorage();
    await openReadyPage(server, ann, { storage });
    await server.stop();
    const { started } = openPage({ address: server.address, storage, ...options }, context);
    expect(await started).toBeInstanceOf(Error);
  });

  it("says what the server has against the request", async () => {
    const { client, started, until } = openPage({ address: server.address, environment: "nowhere" }, ann);
    expect(await started).toMatchObject({
      code: ErrorCode.PROVIDER_FATAL,
      message: expect.stringContaining('there is no environment "nowhere"'),
    });
    expect(client.providerStatus).toBe(ProviderStatus.FATAL);
    await server.admin.createEnvironment({ environment: { name: "nowhere" } });
    await until("ready");
    expect(client.getStringDetails("greeting", "?")).toMatchObject({ flagMetadata: { flagSetId: "nowhere" } });
  });

  it("says so where what answers is something else", async () => {
    const portal = async () => new Response("<html>Log in</html>", { headers: { "content-type": "text/html" } });
    const { started } = openPage({ address: server.address, fetch: portal }, ann);
    expect(await started).toMatchObject({ message: expect.stringContaining("is no Flagwire server") });
  });
});

describe("a fetch that a browser lets fail", () => {
  const origin = "https://shop.test";
  const failed = "Failed to fetch";
  const hint = `no server is there, or it does not permit pages of ${origin} (--cors-origins)`;
  const refused = (): Promise<Response> => Promise.reject(new TypeError(failed));
  const aborted = (): Promise<Response> => Promise.reject(new DOMException("stopped", "AbortError"));
  const html = async () => new Response("<html>", { status: 404 });

  it.each([
    ["of another origin says what may be wrong", "https://flags.test/a", refused, `${failed}: ${hint}`],
    ["of the server's own origin says no more", `${origin}/a`, refused, failed],
    ["that ended the call says no more", "https://flags.test/a", aborted, "stopped"],
    [
      "that was answered says no more",
      "https://flags.test/a",
      html,
      "what answered with HTTP 404 is no Flagwire server",
    ],
  ])("in a page %s", async (_name, address, fetch, message) => {
    vi.stubGlobal("location", { origin, href: `${origin}/cart` });
    onTestFinished(() => void vi.unstubAllGlobals());
    const outcome = await openPage({ address, fetch }, ann).started;
    expect(outcome).toMatchObject({ message: `${address}: ${message}` });
  });

  it("where there is no page says no more", async () => {
    const outcome = await openPage({ address: "https://flags.test", fetch: refused }, ann).started;
    expect(outcome).toMatchObject({ message: `https://flags.test: ${failed}` });
  });
});

describe("storage", () => {
  it("holds no context, and the values of five at most", async () => {
    const storage = new MemoryStorage();
    const { setContext } = await openReadyPage(server, ann, { storage });
    for (let index = 0; index < 7; index++) await setContext({ targetingKey: `subject-${index}` });
    expect(storage.items.size).toBe(6);
    const kept = JSON.stringify([...storage.items]);
    expect(kept).toContain("greeting");
    expect(kept).not.toMatch(/subject-|ann/);
  });

  it.each([
    ["throws", { getItem: fail, setItem: fail, removeItem: fail }],
    ["holds something else", { getItem: () => '{"a":[1', setItem: () => {}, removeItem: () => {} }],
    ["holds values of another kind", { getItem: () => "[1,[2]]", setItem: () => {}, removeItem: () => {} }],
  ])("that %s breaks nothing", async (_name, storage) => {
    const { client } = await openReadyPage(server, ann, { storage });
    expect(client.getStringValue("greeting", "?")).toBe("pro");
    await server.stop();
    expect(await openPage({ address: server.address, storage }, ann).started).toBeInstanceOf(Error);
  });
});

function fail(): never {
  throw new Error("switched off");
}

describe("streams that do not get through", () => {
  /** Holds back what is streamed for as long as it lasts, as some proxies do. */
  const heldBack: typeof fetch = (url, init) =>
    String(url).endsWith("WatchEvaluations")
      ? new Promise((_, reject) => init?.signal?.addEventListener("abort", () => reject(new Error("aborted"))))
      : fetch(url, init);
  /** Cuts off streams after their first message. */
  const cutOff: typeof fetch = async (url, init) => {
    const response = await fetch(url, init);
    if (!String(url).endsWith("WatchEvaluations") || response.body === null) return response;
    const reader = response.body.getReader();
    const { value } = await reader.read();
    await reader.cancel();
    return new Response(value ?? null, response);
  };
  /** Answers streams by a page of its own. */
  const refusing: typeof fetch = async (url, init) =>
    String(url).endsWith("WatchEvaluations") ? new Response("<html>", { status: 403 }) : fetch(url, init);

  it.each([
    ["held back", heldBack],
    ["cut off", cutOff],
    ["refused by something on the way", refusing],
  ])("because they are %s are replaced by polls", async (_name, through) => {
    const polls: number[] = [];
    const watching: typeof fetch = (url, init) => {
      if (String(url).endsWith("BulkEvaluate")) polls.push(Date.now());
      return through(url, init);
    };
    const timeouts = { firstMessageTimeoutMs: 50, pollIntervalMs: 20, staleAfterMs: 5_000 };
    const { client, seen, until } = await openReadyPage(server, ann, { timeouts, fetch: watching as never });
    await vi.waitFor(() => expect(polls.length).toBeGreaterThan(2));
    await killGreeting();
    await until("configuration_changed");
    expect(client.getStringValue("greeting", "?")).toBe("free");
    expect(seen).toEqual(["ready", "configuration_changed:greeting"]);
  });

  it("are not those that are slow", async () => {
    const clock = new VirtualClock();
    const evaluations = [{ flagKey: "greeting", value: "hello", variant: "v", reason: "STATIC" }];
    const whole = toEnvelope(JSON.stringify({ update: { full: true, evaluations, revision: "1" } }));
    let calls = 0;
    const slow = async (): Promise<Response> => {
      calls += 1;
      const headers = { "content-type": "application/connect+json" };
      const start = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
        const send = (at: number): void => {
          controller.enqueue(whole.slice(at, at + 10));
          if (at + 10 < whole.byteLength) clock.after(2_000, () => send(at + 10));
        };
        send(0);
      };
      return new Response(new ReadableStream({ start }), { headers });
    };
    const page = openPage({ address: server.address, clock, fetch: slow, timeouts: { initTimeoutMs: 60_000 } }, ann);
    await clock.advance(40_000);
    expect(await page.started).toBe("ready");
    expect(page.client.getStringValue("greeting", "?")).toBe("hello");
    expect(calls).toBe(1);
  });

  it("are tried again after a time", async () => {
    let isBad = true;
    const methods: string[] = [];
    const through: typeof fetch = (url, init) => {
      methods.push(String(url).replace(/.*\//, ""));
      return isBad ? heldBack(url, init) : fetch(url, init);
    };
    const timeouts = { firstMessageTimeoutMs: 30, pollIntervalMs: 20, streamRetryMs: 100 };
    await openReadyPage(server, ann, { timeouts, fetch: through as never });
    isBad = false;
    await vi.waitFor(() => expect(methods.at(-1)).toBe("WatchEvaluations"));
    expect(methods).toContain("BulkEvaluate");
  });
});

describe("following", () => {
  it("by polls alone opens no stream", async () => {
    const methods = new Set<string>();
    const watching: typeof fetch = (url, init) => {
      methods.add(String(url).replace(/.*\//, ""));
      return fetch(url, init);
    };
    const { until } = await openReadyPage(server, ann, { follow: "poll", fetch: watching as never });
    await killGreeting();
    await until("configuration_changed");
    expect([...methods]).toEqual(["BulkEvaluate"]);
  });

  it("that is switched off asks once for each context", async () => {
    const clock = new VirtualClock();
    const { client, setContext } = await openReadyPage(server, ann, { follow: false, clock });
    expect(clock.pendingTimers).toBe(0);
    await killGreeting();
    expect(client.getStringValue("greeting", "?")).toBe("pro");
    await setContext(bob);
    expect(client.getStringDetails("greeting", "?").reason).toBe("KILLED");
  });
});

describe("a call", () => {
  it.each(["/", "", "/?", "#"])(
    "carries the token, and is made where the address says, with %j at its end",
    async (end) => {
      const calls: [string, Record<string, string>][] = [];
      const watching = async (url: string, init: RequestInit) => {
        calls.push([url, init.headers as Record<string, string>]);
        return Response.json({ code: "unauthenticated", message: "no such token" }, { status: 401 });
      };
      const address = `https://flags.example.com/proxied${end}`;
      const { started } = openPage({ address, token: "secret", follow: "poll", fetch: watching }, ann);
      expect(await started).toMatchObject({ message: expect.stringContaining("no such token") });
      const [url, headers] = calls[0] ?? [];
      expect(url).toBe("https://flags.example.com/proxied/flagwire.v1.EvaluationService/BulkEvaluate");
      expect(headers).toMatchObject({ authorization: "Bearer secret", "content-type": "application/json" });
    },
  );

  const notAddresses = ["https://me:secret@flags.test", "https://flags.test/?a=1", "https://flags.test/#a"];

  it.each(["", "http://", "ftp://flags", "two words", ...notAddresses])("cannot be made to %j", (address) => {
    expect(() => new FlagwireWebProvider({ address })).toThrow(TypeError);
  });

  it.each([
    ["timeouts.pollIntervalMs", { timeouts: { pollIntervalMs: 0 } }],
    ["timeouts.pollIntervalMs", { timeouts: { pollIntervalMs: Number.NaN } }],
    ["timeouts.streamRetryMs", { timeouts: { streamRetryMs: -1 } }],
    ["timeouts.initTimeoutMs", { timeouts: { initTimeoutMs: "5s" as never } }],
    ["backoff.minMs", { backoff: { minMs: 0 } }],
    ["backoff.maxMs", { backoff: { maxMs: Number.NaN } }],
  ])("is not made where %s is no time: %j", (name, options) => {
    expect(() => new FlagwireWebProvider({ address: "flags:1", ...options })).toThrow(`${name} must be`);
  });

  it("needs an address where there is no page", () => {
    expect(() => new FlagwireWebProvider()).toThrow("there is no page");
    vi.stubGlobal("location", { origin: "null", href: "file:///page.html" });
    onTestFinished(() => void vi.unstubAllGlobals());
    expect(() => new FlagwireWebProvider()).toThrow("there is no page");
  });
});

describe("a provider", () => {
  it("that is closed leaves no timer and no connection", async () => {
    const clock = new VirtualClock();
    const signals: (AbortSignal | null | undefined)[] = [];
    const watching: typeof fetch = (url, init) => {
      signals.push(init?.signal);
      return fetch(url, init);
    };
    const { provider } = await openReadyPage(server, ann, { clock, fetch: watching as never });
    expect(clock.pendingTimers).toBe(1);
    await provider.onClose();
    expect(clock.pendingTimers).toBe(0);
    expect(signals.map((signal) => signal?.aborted)).toEqual([true]);
  });

  it("that is closed while it starts fails to start, and leaves no timer", async () => {
    const clock = new VirtualClock();
    const fetch = () => new Promise<never>(() => {});
    const { provider, started } = openPage({ address: server.address, clock, fetch }, ann);
    await vi.waitFor(() => expect(clock.pendingTimers).toBe(2));
    await provider.onClose();
    expect(clock.pendingTimers).toBe(0);
    expect(await started).toBeInstanceOf(Error);
  });

  it("that is closed while the server is away leaves no timer", async () => {
    const clock = new VirtualClock();
    const { provider } = await openReadyPage(server, ann, { clock });
    await server.stop();
    await vi.waitFor(() => expect(clock.pendingTimers).toBe(2));
    await provider.onClose();
    expect(clock.pendingTimers).toBe(0);
  });

  it("serves one domain", async () => {
    const { provider } = await openReadyPage(server, ann);
    expect(() => OpenFeature.setProvider("another", provider)).toThrow(/more than one domain/);
  });
});
