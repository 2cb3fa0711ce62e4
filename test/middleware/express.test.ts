import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import express, { type Express } from "express";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type FlagwireMiddlewareOptions, flagwireMiddleware, requireFlag } from "../../src/middleware/express.js";
import { type FlagService, openFlagService } from "./flag-service.js";

let service: FlagService;
const servers: Server[] = [];

beforeAll(async () => {
  service = await openFlagService();
});

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  }
});

afterAll(() => service[Symbol.asyncDispose]());

type Options = Partial<FlagwireMiddlewareOptions<express.Request>>;

/** An application with the middleware, whose context is the plan of the query. */
function createApp(options: Options = {}): Express {
  const app = express();
  app.use(
    flagwireMiddleware({
      flags: service.mirror,
      context: (req: express.Request) => ({ plan: req.query.plan }),
      ...options,
    }),
  );
  return app;
}

type Get = (path: string, init?: RequestInit) => Promise<Response>;

function listen(app: Express): Promise<Get> {
  return serve(createServer(app));
}

async function serve(server: Server): Promise<Get> {
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return (path, init) => fetch(`http://127.0.0.1:${port}${path}`, init);
}

describe("a request", () => {
  it("has the flags of its context", async () => {
    const app = createApp();
    app.get("/", (req, res) => {
      res.json([req.flags.boolean("pro", false), req.flags.string("button", ""), req.flags.context]);
    });
    const get = await listen(app);
    expect(await (await get("/?plan=pro")).json()).toEqual([true, "#f00", { plan: "pro" }]);
    expect(await (await get("/?plan=free")).json()).toEqual([false, "#00f", { plan: "free" }]);
  });

  it("sees one revision, while the flag changes in its middle", async () => {
    await service.serve("off");
    const app = createApp();
    app.get("/", async (req, res) => {
      const before = req.flags.boolean("moving", true);
      await service.serve("on");
      res.json([before, req.flags.boolean("moving", true), service.mirror.boolean("moving", false)]);
    });
    app.get("/next", (req, res) => {
      res.json(req.flags.boolean("moving", false));
    });
    const get = await listen(app);
    expect(await (await get("/")).json()).toEqual([false, false, true]);
    expect(await (await get("/next")).json()).toBe(true);
  });

  it("stays at one revision under a middleware further in, which gives it another context", async () => {
    await service.serve("off");
    const app = createApp({ header: true });
    app.use(async (req, _res, next) => {
      req.flags.string("button", "");
      await service.serve("on");
      next();
    });
    app.use("/other", flagwireMiddleware({ flags: service.unready }));
    app.use("/in", flagwireMiddleware({ flags: service.mirror, context: () => ({ plan: "pro" }), header: true }));
    app.use((req, res) => {
      res.json([req.flags.boolean("moving", true), req.flags.boolean("pro", false), req.flags.revision]);
    });
    const get = await listen(app);
    const { revision } = service.mirror;
    const within = await get("/in");
    expect(await within.json()).toEqual([false, true, revision]);
    expect(within.headers.get("flagwire-flags")).toBe("button=blue, pro");
    // Another mirror has a revision of its own, and here none yet.
    expect(await (await get("/other")).json()).toEqual([true, false, 0]);
  });

  it("keeps to its own context among others at the same time", async () => {
    const app = createApp({ header: true });
    let arrived = 0;
    let open = (): void => {};
    const all = new Promise<void>((resolve) => {
      open = resolve;
    });
    app.get("/", async (req, res) => {
      const before = req.flags.boolean("pro", false);
      if (++arrived === 20) open();
      await all;
      res.json([before, req.flags.string("button", "")]);
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
      onError: (error, { path }) => errors.push([error, path]),
    });
    app.get("/page", (req, res) => {
      res.json([req.flags.boolean("open", false), req.flags.boolean("pro", true)]);
    });
    const get = await listen(app);
    expect(await (await get("/page?plan=pro")).json()).toEqual([true, false]);
    expect(errors).toEqual([[expect.objectContaining({ message: "no session" }), "/page"]]);
  });
});

describe("a required flag", () => {
  it("lets through when it is on, and answers 403 with a problem document when it is not", async () => {
    const app = createApp();
    app.get("/", requireFlag("pro"), (_req, res) => {
      res.send("in");
    });
    const get = await listen(app);
    expect(await (await get("/?plan=pro")).text()).toBe("in");
    const denied = await get("/?plan=free");
    expect(denied.status).toBe(403);
    expect(denied.headers.get("content-type")).toBe("application/problem+json");
    expect(await denied.json()).toEqual({
      type: "about:blank",
      title: "Forbidden",
      status: 403,
      detail: "This is not available to you.",
    });
    expect(denied.headers.get("cache-control")).toBe("no-store");
  });

  it("says with a 404 no more than that", async () => {
    const app = createApp();
    app.get("/", requireFlag("shut", { status: 404 }), (_req, res) => {
      res.send("in");
    });
    const get = await listen(app);
    const denied = await get("/");
    expect(await denied.json()).toEqual({ type: "about:blank", title: "Not Found", status: 404 });
    expect(denied.headers.get("cache-control")).toBe("no-store");
  });

  it.each<[string, () => unknown, unknown]>([
    ["an error", () => Promise.reject(new Error("no page")), "Error: no page"],
    ["nothing", () => Promise.reject(), "Error: otherwise threw nothing"],
    // biome-ignore lint/suspicious/noThenProperty: a promise of a library's own is what this is about.
    ["a promise of its own", () => ({ then: (_: unknown, reject: (error: string) => void) => reject("own") }), "own"],
  ])(
    "passes on what otherwise rejects with (%s), for those who wait for no promise",
    async (_name, otherwise, passed) => {
      const pin = flagwireMiddleware({ flags: service.mirror });
      const gate = requireFlag<IncomingMessage>("shut", { otherwise });
      const server = createServer((req, res) => pin(req, res, () => gate(req, res, (error) => res.end(String(error)))));
      const get = await serve(server);
      expect(await (await get("/")).text()).toBe(passed);
    },
  );

  it("lets through by its variant, answers with your status or your handler", async () => {
    const app = createApp();
    app.get("/variant", requireFlag("button", { accept: ["red"], status: 404 }), (_req, res) => {
      res.send("in");
    });
    const redirect = requireFlag("pro", { otherwise: (_req, res: express.Response) => res.redirect("/upgrade") });
    app.get("/handler", redirect, (_req, res) => {
      res.send("in");
    });
    app.get("/next", requireFlag("shut", { otherwise: (_req, _res, next) => next() }), (_req, res) => {
      res.send("in all the same");
    });
    const get = await listen(app);
    expect(await (await get("/variant?plan=pro")).text()).toBe("in");
    expect((await get("/variant?plan=free")).status).toBe(404);
    const redirected = await get("/handler", { redirect: "manual" });
    expect([redirected.status, redirected.headers.get("location")]).toEqual([302, "/upgrade"]);
    expect(await (await get("/next")).text()).toBe("in all the same");
  });

  it.each(["nope", "button"])("without an answer (%s) fails closed, or open where that is said", async (key) => {
    const app = createApp();
    app.get("/closed", requireFlag(key), (_req, res) => {
      res.send("in");
    });
    app.get("/open", requireFlag(key, { whenUnknown: "allow" }), (_req, res) => {
      res.send("in");
    });
    const get = await listen(app);
    expect((await get("/closed")).status).toBe(403);
    expect((await get("/open")).status).toBe(200);
  });

  it("fails closed before any flags have come, or open where that is said", async () => {
    const app = createApp({ flags: service.unready });
    app.get("/closed", requireFlag("open"), (_req, res) => {
      res.send("in");
    });
    app.get("/open", requireFlag("open", { whenUnknown: "allow" }), (_req, res) => {
      res.send("in");
    });
    const get = await listen(app);
    expect((await get("/closed")).status).toBe(403);
    expect((await get("/open")).status).toBe(200);
  });

  it("is an error of the program where the middleware is missing", async () => {
    const app = express();
    app.get("/", requireFlag("open", { whenUnknown: "allow" }), (_req, res) => {
      res.send("in");
    });
    app.use((error: Error, _req: express.Request, res: express.Response, _next: express.NextFunction) => {
      res.status(500).send(error.message);
    });
    const get = await listen(app);
    expect(await (await get("/")).text()).toBe('requireFlag("open") needs flagwireMiddleware before it');
  });

  it("is refused with a status that is none of an error, and an otherwise that is no handler", () => {
    expect(() => requireFlag("open", { status: 200 })).toThrow("status must be from 400 to 599, and is 200");
    const otherwise = "/upgrade" as unknown as () => void;
    expect(() => requireFlag("open", { otherwise })).toThrow("otherwise must be a function");
  });
});

it("needs nothing of Express but how handlers are called", async () => {
  const pin = flagwireMiddleware({ flags: service.mirror, header: true });
  const gate = requireFlag("shut");
  const server = createServer((req, res) => pin(req, res, () => gate(req, res, () => res.end("in"))));
  const get = await serve(server);
  const denied = await get("/");
  expect(await denied.json()).toMatchObject({ status: 403, title: "Forbidden" });
});

describe("the header of active flags", () => {
  it("is off by default", async () => {
    const app = createApp();
    app.get("/", requireFlag("open"), (_req, res) => {
      res.send("in");
    });
    const get = await listen(app);
    expect((await get("/")).headers.get("flagwire-flags")).toBeNull();
  });

  it.each(["send", "writeHead", "flushHeaders", "write"] as const)("lists what was asked until res.%s", async (way) => {
    const app = createApp({ header: "X-Flags" });
    app.get("/", requireFlag("open"), (req, res) => {
      req.flags.string("button", "");
      if (way === "writeHead") res.writeHead(200, { "x-other": "1" });
      if (way === "flushHeaders") res.flushHeaders();
      if (way === "write") res.write("begun");
      if (way !== "send") req.flags.boolean("pro", false);
      if (way === "send") res.send("done");
      else res.end();
    });
    const get = await listen(app);
    expect((await get("/?plan=pro")).headers.get("x-flags")).toBe("open, button=red");
  });

  it.each<[string, unknown[], string | null]>([
    ["in turn", ["Set-Cookie", "a=1", "Set-Cookie", "b=2"], "open"],
    [
      "in pairs",
      [
        ["Set-Cookie", "a=1"],
        ["Set-Cookie", "b=2"],
      ],
      "open",
    ],
    ["with a list of its own", ["Set-Cookie", "a=1", "Set-Cookie", "b=2", "Flagwire-Flags", "theirs"], "theirs"],
    [
      "in pairs, with a list of its own",
      [
        ["Set-Cookie", "a=1"],
        ["Set-Cookie", "b=2"],
        ["Flagwire-Flags", "theirs"],
      ],
      "theirs",
    ],
    ["with its name as a value", ["Set-Cookie", "a=1", "Set-Cookie", "b=2", "Vary", "flagwire-flags"], "open"],
    ["none", [], "open"],
  ])("leaves the headers as they are that a proxy passes on: %s", async (_name, headers, list) => {
    const pin = flagwireMiddleware({ flags: service.mirror, header: true });
    const gate = requireFlag("open");
    const server = createServer((req, res) =>
      pin(req, res, () => gate(req, res, () => res.writeHead(200, "Fine", headers as string[]).end())),
    );
    const get = await serve(server);
    const response = await get("/");
    expect(response.headers.getSetCookie()).toEqual(headers.length === 0 ? [] : ["a=1", "b=2"]);
    expect([response.statusText, response.headers.get("flagwire-flags")]).toEqual(["Fine", list]);
  });

  it("leaves a header of its name alone that the program has set", async () => {
    const app = createApp({ header: true });
    app.get("/", requireFlag("open"), (_req, res) => {
      res.set("Flagwire-Flags", "theirs").send("in");
    });
    const get = await listen(app);
    expect((await get("/")).headers.get("flagwire-flags")).toBe("theirs");
  });

  it("leaves it to Node to refuse headers that are sent twice", async () => {
    const app = createApp({ header: true });
    let refusal: unknown;
    app.get("/", (req, res) => {
      res.write("begun");
      req.flags.boolean("open", false);
      try {
        res.writeHead(201);
      } catch (error) {
        refusal = error;
      }
      res.end();
    });
    const get = await listen(app);
    const response = await get("/");
    expect([response.status, response.headers.get("flagwire-flags")]).toEqual([200, null]);
    expect(String(refusal)).toContain("Cannot write headers after they are sent");
  });

  it("is there when a required flag has denied, and absent where nothing is active", async () => {
    const app = createApp({ header: true });
    app.get("/", requireFlag("open"), requireFlag("shut"), (_req, res) => {
      res.send("in");
    });
    const get = await listen(app);
    const denied = await get("/");
    expect([denied.status, denied.headers.get("flagwire-flags")]).toEqual([403, "open"]);
    expect((await get("/nowhere")).headers.get("flagwire-flags")).toBeNull();
  });

  it.each(["a b", "", null, 1])("is refused with what is no name: %j", (header) => {
    expect(() => createApp({ header: header as string })).toThrow(
      `header must be the name of a header, and is ${JSON.stringify(header)}`,
    );
  });
});
