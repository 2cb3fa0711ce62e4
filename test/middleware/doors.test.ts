import type { IncomingMessage } from "node:http";
import { resolve } from "node:path";
import { build } from "esbuild";
import express from "express";
import fastify from "fastify";
import { describe, expect, expectTypeOf, it } from "vitest";
import type { Context, Mirror } from "../../src/client/index.js";
import { flagwireMiddleware, requireFlag } from "../../src/middleware/express.js";
import { requireFlag as requireFlagInFastify } from "../../src/middleware/fastify.js";
import type { RequestFlags } from "../../src/middleware/request-flags.js";

const root = resolve(import.meta.dirname, "../..");

describe("the types of flagwire/express", () => {
  it("fit Express's own, and give its requests their flags", () => {
    const app = express();
    const context = (req: express.Request): Context => ({ path: req.path });
    const flags: Pick<Mirror, "pinned"> = { pinned: () => expect.unreachable() };
    app.use(flagwireMiddleware({ flags, context }));
    app.use(
      flagwireMiddleware({
        flags,
        context: (req) => {
          expectTypeOf(req).toExtend<express.Request>();
          return { path: req.path };
        },
      }),
    );
    const otherwise = (req: express.Request, res: express.Response): unknown => res.json(req.flags.revision);
    app.get("/", requireFlag("a"), requireFlag("b", { otherwise }));
    app.get(
      "/",
      requireFlag("a", {
        otherwise: (req, _res, next) => {
          expectTypeOf(req).toExtend<IncomingMessage>();
          expectTypeOf(req.flags).toEqualTypeOf<RequestFlags>();
          next();
        },
      }),
    );
    app.get("/", (req) => expectTypeOf(req.flags).toEqualTypeOf<RequestFlags>());
    app.get("/", [requireFlag("a"), requireFlag("b", { otherwise })], (_req: express.Request, res: express.Response) =>
      res.end(),
    );
  });
});

describe("the types of flagwire/fastify", () => {
  it("fit servers of all kinds", () => {
    const preHandler = requireFlagInFastify("a");
    fastify().get<{ Params: { id: string } }>("/:id", { preHandler }, async ({ params }) => params.id);
    fastify({ http2: true }).get("/", { preHandler }, async ({ flags }) => flags.revision);
  });
});

describe("what a door loads", () => {
  it.each([
    ["express", []],
    ["fastify", []],
    ["grpc", ["@grpc/grpc-js"]],
    ["connect", ["@connectrpc/connect"]],
  ])("is, for flagwire/%s, its own folder and %s", async (door, packages) => {
    const entryPoints = [resolve(root, `src/middleware/${door}.ts`)];
    const options = { bundle: true, write: false, metafile: true, platform: "node", format: "esm" } as const;
    const { metafile } = await build({ ...options, entryPoints, packages: "external", absWorkingDir: root });
    const [output] = Object.values(metafile.outputs);
    const loaded = output?.imports.map(({ path }) => path).filter((path) => !path.startsWith("node:"));
    expect(loaded).toEqual(packages);
    const foreign = Object.keys(output?.inputs ?? {}).filter((path) => !path.startsWith("src/middleware/"));
    expect(foreign).toEqual([]);
  });
});
