import { once } from "node:events";
import { Socket } from "node:net";
import { Readable } from "node:stream";
import fastify, {
  type FastifyInstance,
  type FastifyRequest,
  type RouteHandlerMethod,
  type RouteShorthandOptions,
} from "fastify";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type FlagwirePluginOptions, flagwirePlugin, requireFlag } from "../../src/middleware/fastify.js";
import { type FlagService, openFlagService } from "./flag-service.js";

let service: FlagService;
const apps: FastifyInstance[] = [];

beforeAll(async () => {
  service = await openFlagService();
});

afterEach(async () => {
  for (const app of apps.splice(0)) await app.close();
});

afterAll(() => service[Symbol.asyncDispose]());

/** An application with the plugin, whose context is the plan of the query. */
function createApp(options: Partial<FlagwirePluginOptions> = {}): FastifyInstance {
  const app = fastify();
  apps.push(app);
  app.register(flagwirePlugin, {
    flags: service.mirror,
    context: ({ query }) => ({ plan: (query as { plan?: string }).plan }),
    ...options,
  });
  return app;
}

async function listen(app: FastifyInstance): Promise<(path: string, init?: RequestInit) => Promise<Response>> {
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  return (path, init) => fetch(`${url}${path}`, init);
}

describe("a request", () => {
  it("has the flags of its context, in plugins beside this one and inside them", async () => {
    const app = createApp();
    app.register(async (inner) => {
      inner.get("/inner", async ({ flags }) => [flags.boolean("pro", false), flags.string("button", "")]);
    });
    const get = await listen(app);
    expect(await (await get("/inner?plan=pro")).json()).toEqual([true, "#f00"]);
    expect(await (await get("/inner?plan=free")).json()).toEqual([false, "#00f"]);
  });

  it("sees one revision, while the flag changes in its middle", async () => {
    await service.serve("off");
    const app = createApp();
    app.get("/", async ({ flags }) => {
      const before = flags.boolean("moving", true);
      await service.serve("on");
      return [before, flags.boolean("moving", true), flags.latest().boolean("moving", false)];
    });
    const get = await listen(app);
    expect(await (await get("/")).json()).toEqual([false, false, true]);
  });

  it("stays at one revision under a plugin further in, which gives it another context", async () => {
    await service.serve("off");
    const app = createApp({ header: true });
    app.addHook("onRequest", async ({ flags }) => {
      flags.string("button", "");
      await service.serve("on");
    });
    const answer = async ({ flags }: FastifyRequest) => [flags.boolean("moving", true), flags.boolean("pro", false)];
    app.register(async (inner) => {
      inner.register(flagwirePlugin, { flags: service.mirror, context: () => ({ plan: "pro" }), header: true });
      inner.get("/in", answer);
    });
    app.get("/out", answer);
    const within = await app.inject("/in");
    expect([within.json(), within.headers["flagwire-flags"]]).toEqual([[false, true], "button=blue, pro"]);
    await service.serve("off");
    expect((await app.inject("/out")).json()).toEqual([false, false]);
  });

  it("keeps to its own context among others at the same time", async () => {
    const app = createApp({ header: true });
    let arrived = 0;
    let open = (): void => {};
    const all = new Promise<void>((resolve) => {
      open = resolve;
    });
    app.get("/", async ({ flags }) => {
      const before = flags.boolean("pro", false);
      if (++arrived === 20) open();
      await all;
      return [before, flags.string("button", "")];
    });
    const get = await listen(app);
    const plans = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? "pro" : "free"));
    const answers = await Promise.all(
      plans.map(async (plan) => {
        const response = await get(`/?plan=${plan}`);
        return [await response.json(), response.headers.get("flagwire-flags")];
      }),
    );
    const expected = { pro: [[true, "#f00"], "pro, button=red"], free: [[false, "#00f"], "button=blue"] };
    expect(answers).toEqual(plans.map((plan) => expected[plan as "pro" | "free"]));
  });

  it("goes on without a context that cannot be built", async () => {
    const errors: [unknown, string][] = [];
    const app = createApp({
      context: (): never => {
        throw new Error("no session");
      },
      onError: (error, { url }) => errors.push([error, url]),
    });
    app.get("/page", async ({ flags }) => [flags.boolean("open", false), flags.boolean("pro", true)]);
    const get = await listen(app);
    expect(await (await get("/page")).json()).toEqual([true, false]);
    expect(errors).toEqual([[expect.objectContaining({ message: "no session" }), "/page"]]);
  });

  it("has its context after the body is there where the hook is preHandler", async () => {
    const app = createApp({ hook: "preHandler", context: ({ body }) => body as { plan: string } });
    app.post("/", { preHandler: requireFlag("pro") }, async () => "in");
    const post = await listen(app);
    const headers = { "content-type": "application/json" };
    expect((await post("/", { method: "POST", headers, body: '{"plan":"pro"}' })).status).toBe(200);
    expect((await post("/", { method: "POST", headers, body: '{"plan":"free"}' })).status).toBe(403);
  });
});

describe("a required flag", () => {
  it.each(["onRequest", "preHandler"] as const)(
    "as %s lets through when it is on, and answers 403 when not",
    async (hook) => {
      const app = createApp();
      const handled: unknown[] = [];
      app.get("/", { [hook]: requireFlag("pro") }, async ({ query }) => {
        handled.push(query);
        return "in";
      });
      const get = await listen(app);
      expect(await (await get("/?plan=pro")).text()).toBe("in");
      const denied = await get("/?plan=free");
      expect(denied.status).toBe(403);
      expect(denied.headers.get("content-type")).toMatch(/^application\/problem\+json/);
      expect(await denied.json()).toMatchObject({ title: "Forbidden", status: 403 });
      expect(denied.headers.get("cache-control")).toBe("no-store");
      expect(handled).toEqual([{ plan: "pro" }]);
    },
  );

  it("lets through by its variant, answers with your status or your handler", async () => {
    const app = createApp();
    const handled: string[] = [];
    const handler = async ({ url }: { url: string }): Promise<string> => {
      handled.push(url);
      return "in";
    };
    const byVariant = requireFlag("button", { accept: ["red"], status: 404 });
    app.get("/variant", { preHandler: byVariant }, handler);
    const sends = requireFlag("shut", { otherwise: (_request, reply) => void reply.code(402).send("pay") });
    app.get("/sends", { preHandler: sends }, handler);
    app.get("/returns", { preHandler: requireFlag("shut", { otherwise: async () => ({ not: "yet" }) }) }, handler);
    const redirects = requireFlag("shut", { otherwise: (_request, reply) => reply.redirect("/upgrade") });
    app.get("/redirects", { preHandler: redirects }, handler);
    // An answer that takes its time on the way out.
    app.addHook("onSend", async () => new Promise((resolve) => setImmediate(resolve)));
    const get = await listen(app);
    expect(await (await get("/variant?plan=pro")).text()).toBe("in");
    expect((await get("/variant?plan=free")).status).toBe(404);
    const sent = await get("/sends");
    expect([sent.status, await sent.text()]).toEqual([402, "pay"]);
    expect(await (await get("/returns")).json()).toEqual({ not: "yet" });
    expect((await get("/redirects", { redirect: "manual" })).headers.get("location")).toBe("/upgrade");
    expect(handled).toEqual(["/variant?plan=pro"]);
  });

  it.each<[string, RouteShorthandOptions]>([
    ["onRequest", { onRequest: requireFlag("shut") }],
    ["preHandler", { preHandler: requireFlag("shut") }],
    ["preHandler with otherwise", { preHandler: requireFlag("shut", { otherwise: async () => "not yet" }) }],
  ])("as %s keeps its handler from running when the client leaves before it is answered", async (_name, options) => {
    const app = createApp();
    const handled: string[] = [];
    app.get("/", options, async ({ url }) => handled.push(url));
    const client = new Socket().on("error", () => {});
    const left = new Promise<void>((resolve) => {
      app.addHook("onSend", async (_request, { raw }) => {
        client.destroy();
        await once(raw, "close");
        // Whoever waits for the answer hears of its end too.
        await new Promise(setImmediate);
        resolve();
      });
    });
    const { port } = new URL(await app.listen({ host: "127.0.0.1", port: 0 }));
    client.connect(Number(port), "127.0.0.1").write("GET / HTTP/1.1\r\nHost: shop\r\n\r\n");
    await left;
    expect(handled).toEqual([]);
  });

  it("answers an otherwise that fails with its error, and one that fails with nothing too", async () => {
    const app = createApp();
    const handled: string[] = [];
    const failing = (thrown: unknown) => requireFlag("shut", { otherwise: () => Promise.reject(thrown) });
    app.get("/error", { preHandler: failing(new Error("no page")) }, async ({ url }) => handled.push(url));
    app.get("/nothing", { preHandler: failing(undefined) }, async ({ url }) => handled.push(url));
    const get = await listen(app);
    expect(await (await get("/error")).json()).toMatchObject({ statusCode: 500, message: "no page" });
    expect((await get("/nothing")).status).toBe(500);
    expect(handled).toEqual([]);
  });

  it("without an answer fails closed, or open where that is said", async () => {
    const app = createApp({ flags: service.unready });
    app.get("/closed", { preHandler: requireFlag("open") }, async () => "in");
    app.get("/open", { preHandler: requireFlag("open", { whenUnknown: "allow" }) }, async () => "in");
    const get = await listen(app);
    expect((await get("/closed")).status).toBe(403);
    expect((await get("/open")).status).toBe(200);
  });

  it("is an error of the program where the plugin is missing", async () => {
    const app = fastify();
    apps.push(app);
    app.get("/", { preHandler: requireFlag("open", { whenUnknown: "allow" }) }, async () => "in");
    const get = await listen(app);
    const response = await get("/");
    expect(response.status).toBe(500);
    expect(await response.text()).toContain("needs flagwirePlugin");
  });
});

describe("the header of active flags", () => {
  it("is off by default", async () => {
    const app = createApp();
    app.get("/", { preHandler: requireFlag("open") }, async () => "in");
    const get = await listen(app);
    expect((await get("/")).headers.get("flagwire-flags")).toBeNull();
  });

  it("lists what was asked until the response is sent, of denials too", async () => {
    const app = createApp({ header: "x-flags" });
    app.get("/", { preHandler: requireFlag("open") }, async ({ flags }) => flags.string("button", ""));
    app.get("/denied", { preHandler: [requireFlag("open"), requireFlag("shut")] }, async () => "in");
    const get = await listen(app);
    expect((await get("/?plan=pro")).headers.get("x-flags")).toBe("open, button=red");
    expect((await get("/denied")).headers.get("x-flags")).toBe("open");
    expect((await get("/nowhere")).headers.get("x-flags")).toBeNull();
  });

  it.each<[string, RouteHandlerMethod]>([
    [
      "hijacked",
      (_request, reply) => {
        reply.hijack();
        reply.raw.writeHead(200, { "content-type": "text/event-stream" }).end("data: 1\n\n");
      },
    ],
    ["raw", (_request, reply) => void reply.raw.end("1")],
    ["a stream", (_request, reply) => reply.send(Readable.from(["1"]))],
    ["a web stream", (_request, reply) => reply.send(new Response("1"))],
    ["an error", () => Promise.reject(new Error("no"))],
  ])("lists them where the reply is %s, too", async (_name, handler) => {
    const app = createApp({ header: true });
    app.get("/", { preHandler: requireFlag("open") }, handler);
    const get = await listen(app);
    expect((await get("/")).headers.get("flagwire-flags")).toBe("open");
    expect((await app.inject("/")).headers["flagwire-flags"]).toBe("open");
  });

  it("does not stand in the way of a request that ended before it had flags", async () => {
    const app = fastify();
    apps.push(app);
    app.addHook("onRequest", async (_request, reply) => reply.code(401).send("who?"));
    app.register(flagwirePlugin, { flags: service.mirror, header: true });
    app.get("/", async () => "in");
    const get = await listen(app);
    const response = await get("/");
    expect([response.status, await response.text()]).toEqual([401, "who?"]);
  });
});

it("a decorator of somebody else by the same name keeps the application from starting", async () => {
  const app = fastify();
  apps.push(app);
  app.decorateRequest("flags");
  app.register(flagwirePlugin, { flags: service.mirror });
  await expect(app.ready()).rejects.toMatchObject({ code: "FST_ERR_DEC_ALREADY_PRESENT" });
});

it("an otherwise that is no handler is refused", () => {
  const otherwise = "/upgrade" as unknown as () => void;
  expect(() => requireFlag("open", { otherwise })).toThrow("otherwise must be a function");
});

it("a plugin with options that cannot be meant keeps the application from starting", async () => {
  const app = createApp({ hook: "onSend" as "onRequest" });
  await expect(app.ready()).rejects.toThrow('hook must be "onRequest" or "preHandler"');
});
