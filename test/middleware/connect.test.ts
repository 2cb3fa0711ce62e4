import { once } from "node:events";
import { createServer, type Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import {
  Code,
  ConnectError,
  type ContextValues,
  createClient,
  createContextValues,
  type HandlerContext,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { type FlagwireInterceptorOptions, flagsOf, flagwireInterceptor } from "../../src/middleware/connect.js";
import type { RequestFlags } from "../../src/middleware/request-flags.js";
import { type FlagService, openFlagService } from "./flag-service.js";

type Kind = "unary" | "clientStream" | "serverStream" | "bidi";
type Answer = readonly unknown[];
type Respond = (flags: RequestFlags) => Answer | Promise<Answer>;
type Protocol = "grpc" | "connect";

const kinds: readonly Kind[] = ["unary", "clientStream", "serverStream", "bidi"];
/** A method of each kind: of no meaning here, for all answer the same text. */
const paths: Readonly<Record<Kind, string>> = {
  unary: "/flagwire.v1.AdminService/GetFlag",
  clientStream: "/flagwire.v1.AdminService/Import",
  serverStream: "/flagwire.v1.AdminService/Export",
  bidi: "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
};

let service: FlagService;
const servers: Http2Server[] = [];

beforeAll(async () => {
  service = await openFlagService();
});

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

afterAll(() => service[Symbol.asyncDispose]());

interface Called {
  readonly answer: Answer;
  readonly header: Headers;
}

interface ServeOptions extends Partial<FlagwireInterceptorOptions> {
  /** Interceptors after ours. */
  readonly inner?: readonly Interceptor[];
  readonly contextValues?: () => ContextValues;
}

/** Serves with the interceptor, and calls. The context is the plan of the headers. */
async function serve(
  respond: Respond,
  { inner = [], contextValues = createContextValues, ...options }: ServeOptions = {},
): Promise<(kind: Kind, plan?: string, protocol?: Protocol) => Promise<Called>> {
  const interceptor = flagwireInterceptor({
    flags: service.mirror,
    context: ({ header }) => ({ plan: header.get("plan") }),
    ...options,
  });
  const textOf = async (context: HandlerContext): Promise<string> => JSON.stringify(await respond(flagsOf(context)));
  const handler = connectNodeAdapter({
    interceptors: [interceptor, ...inner],
    contextValues,
    routes: (router) => {
      router.service(AdminService, {
        getFlag: async (_request, context) => ({ flag: { key: await textOf(context) } }),
        import: async (requests, context) => {
          for await (const _request of requests);
          return { createdFlags: [await textOf(context)] };
        },
        async *export(_request, context) {
          const text = await textOf(context);
          // A stream may end without a message.
          if (text !== "[]") yield { file: { flags: [{ key: text }] } };
        },
      });
      router.service(ServerReflection, {
        async *serverReflectionInfo(requests, context) {
          for await (const _request of requests);
          yield { validHost: await textOf(context) };
        },
      });
    },
  });
  const server = createServer(handler);
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return (kind, plan = "free", protocol = "grpc") => {
    const transport =
      protocol === "grpc"
        ? createGrpcTransport({ baseUrl, idleConnectionTimeoutMs: 1 })
        : createConnectTransport({ baseUrl, httpVersion: "2", idleConnectionTimeoutMs: 1 });
    return call(transport, kind, plan);
  };
}

async function call(transport: Transport, kind: Kind, plan: string): Promise<Called> {
  let header = new Headers();
  const options = {
    headers: { plan },
    onHeader: (received: Headers) => {
      header = received;
    },
  };
  const admin = createClient(AdminService, transport);
  const texts: (string | undefined)[] = [];
  switch (kind) {
    case "unary":
      texts.push((await admin.getFlag({}, options)).flag?.key);
      break;
    case "clientStream":
      texts.push(...(await admin.import(one(), options)).createdFlags);
      break;
    case "serverStream":
      for await (const { file } of admin.export({}, options)) texts.push(file?.flags[0]?.key);
      break;
    case "bidi":
      for await (const { validHost } of createClient(ServerReflection, transport).serverReflectionInfo(
        one(),
        options,
      )) {
        texts.push(validHost);
      }
  }
  return { answer: JSON.parse(texts.join() || "[]") as Answer, header };
}

async function* one(): AsyncGenerator<Record<string, never>> {
  yield {};
}

describe.each(kinds)("a call of the kind %s", (kind) => {
  it("has the flags of its context, at one revision", async () => {
    await service.serve("off");
    const ask = await serve(async (flags) => {
      const before = flags.boolean("moving", true);
      await service.serve("on");
      return [flags.boolean("pro", false), before, flags.boolean("moving", true)];
    });
    expect((await ask(kind, "pro")).answer).toEqual([true, false, false]);
    expect((await ask(kind, "free")).answer).toEqual([false, true, true]);
  });

  it.each(["grpc", "connect"] as const)("needs the flag that its method requires, by %s", async (protocol) => {
    let calls = 0;
    const ask = await serve(() => [++calls], { requireFlags: { [paths[kind]]: "pro" } });
    await expect(ask(kind, "free", protocol)).rejects.toMatchObject({
      code: Code.PermissionDenied,
      rawMessage: `${paths[kind]} is not available to this caller`,
    });
    expect(calls).toBe(0);
    expect((await ask(kind, "pro", protocol)).answer).toEqual([1]);
  });

  it.each(["grpc", "connect"] as const)("lists its active flags in the headers, if wanted, by %s", async (protocol) => {
    const respond: Respond = (flags) => [flags.string("button", "")];
    const requireFlags = { [paths[kind]]: "open" };
    const ask = await serve(respond, { requireFlags, header: true });
    expect((await ask(kind, "pro", protocol)).header.get("flagwire-flags")).toBe("open, button=red");
    const without = await serve(respond, { requireFlags });
    expect((await without(kind, "pro", protocol)).header.get("flagwire-flags")).toBeNull();
  });
});

it.each(["grpc", "connect"] as const)(
  "a stream without messages lists its active flags too, by %s",
  async (protocol) => {
    const respond: Respond = (flags) => (flags.boolean("open", false) ? [] : ["shut"]);
    const ask = await serve(respond, { header: true });
    const { answer, header } = await ask("serverStream", "pro", protocol);
    expect([answer, header.get("flagwire-flags")]).toEqual([[], "open"]);
  },
);

it("calls at the same time keep to their own context", async () => {
  let arrived = 0;
  let open = (): void => {};
  const all = new Promise<void>((resolve) => {
    open = resolve;
  });
  const ask = await serve(async (flags) => {
    const before = flags.boolean("pro", false);
    if (++arrived === 20) open();
    await all;
    return [before, flags.string("button", "")];
  });
  const plans = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? "pro" : "free"));
  const answers = await Promise.all(plans.map(async (plan) => (await ask("unary", plan)).answer));
  expect(answers).toEqual(plans.map((plan) => (plan === "pro" ? [true, "#f00"] : [false, "#00f"])));
});

it("a context that cannot be built leaves a call without one, and is told", async () => {
  const errors: [unknown, string][] = [];
  const ask = await serve((flags) => [flags.boolean("open", false), flags.boolean("pro", true)], {
    context: (): never => {
      throw new Error("no session");
    },
    onError: (error, { method }) => errors.push([error, method.name]),
  });
  expect((await ask("unary", "pro")).answer).toEqual([true, false]);
  expect(errors).toEqual([[expect.objectContaining({ message: "no session" }), "GetFlag"]]);
});

it("a call stays at one revision under an interceptor further in, which gives it another context", async () => {
  await service.serve("off");
  const inner = flagwireInterceptor({ flags: service.mirror, context: () => ({ plan: "pro" }) });
  const ask = await serve((flags) => [flags.boolean("moving", true), flags.boolean("pro", false)], {
    header: true,
    inner: [
      (next) => async (call) => {
        flagsOf({ values: call.contextValues }).string("button", "");
        await service.serve("on");
        return next(call);
      },
      inner,
    ],
  });
  const { answer, header } = await ask("unary");
  expect(answer).toEqual([false, true]);
  expect(header.get("flagwire-flags")).toBe("button=blue, pro");
});

it("calls that an interceptor gives one signal are of revisions of their own", async () => {
  await service.serve("off");
  const { signal } = new AbortController();
  const inner: readonly Interceptor[] = [
    (next) => (call) => next({ ...call, signal }),
    flagwireInterceptor({ flags: service.mirror }),
  ];
  const ask = await serve((flags) => [flags.boolean("moving", true)], { inner });
  expect((await ask("unary")).answer).toEqual([false]);
  await service.serve("on");
  expect((await ask("unary")).answer).toEqual([true]);
});

it("calls of a server whose context values are the same for all are of revisions of their own", async () => {
  await service.serve("off");
  const values = createContextValues();
  const ask = await serve((flags) => [flags.boolean("moving", true)], { contextValues: () => values });
  expect((await ask("unary")).answer).toEqual([false]);
  await service.serve("on");
  expect((await ask("unary")).answer).toEqual([true]);
});

it("an otherwise that is no function is refused", () => {
  const otherwise = "no" as unknown as () => ConnectError;
  expect(() => flagwireInterceptor({ flags: service.mirror, otherwise })).toThrow("otherwise must be a function");
});

it("a required flag without an answer fails closed, or open where that is said", async () => {
  const requireFlags = { [paths.unary]: "open", [paths.bidi]: { key: "open", whenUnknown: "allow" as const } };
  const ask = await serve(() => ["in"], { flags: service.unready, requireFlags });
  await expect(ask("unary")).rejects.toMatchObject({ code: Code.PermissionDenied });
  expect((await ask("bidi")).answer).toEqual(["in"]);
});

it("a denial is the error that you make of it", async () => {
  const ask = await serve(() => ["in"], {
    requireFlags: { [paths.unary]: { key: "button", accept: ["red"] } },
    otherwise: ({ method }) => new ConnectError(`${method.name} is for plan pro`, Code.FailedPrecondition),
  });
  expect((await ask("unary", "pro")).answer).toEqual(["in"]);
  await expect(ask("unary")).rejects.toMatchObject({
    code: Code.FailedPrecondition,
    rawMessage: "GetFlag is for plan pro",
  });
});

it.each(kinds)(
  "a rule for a method that its service does not have shuts the service, for calls of the kind %s",
  async (kind) => {
    const warnings: string[] = [];
    const listen = ({ name, message }: Error): unknown => name === "Flagwire" && warnings.push(message);
    process.on("warning", listen);
    const service = paths[kind].slice(0, paths[kind].lastIndexOf("/"));
    let calls = 0;
    const requireFlags = { [`${service}/Getflag`]: "open", [paths[kind]]: "open" };
    const ask = await serve(() => [++calls], { requireFlags });
    for (const protocol of ["grpc", "connect"] as const) {
      await expect(ask(kind, "pro", protocol)).rejects.toMatchObject({
        code: Code.Internal,
        rawMessage: "internal error",
      });
    }
    process.off("warning", listen);
    expect(calls).toBe(0);
    const name = service.slice(1);
    expect(warnings).toEqual([expect.stringContaining(`requireFlags: ${name} has no method Getflag; it has `)]);
  },
);

it("a rule for a method of another service leaves a service open", async () => {
  const ask = await serve(() => ["in"], { requireFlags: { "/grpc.reflection.v1.ServerReflection/Nope": "open" } });
  expect((await ask("unary")).answer).toEqual(["in"]);
});

it("a handler without the interceptor is told", async () => {
  const values = { get: () => undefined } as unknown as HandlerContext["values"];
  expect(() => flagsOf({ values })).toThrow("the handlers need flagwireInterceptor");
});
