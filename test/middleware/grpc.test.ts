import { Writable } from "node:stream";
import {
  Client,
  credentials,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServiceError,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type FlagwireInterceptorOptions, flagsOf, flagwireInterceptor } from "../../src/middleware/grpc.js";
import type { RequestFlags } from "../../src/middleware/request-flags.js";
import { createTestFlags } from "../../src/testing/index.js";
import { type FlagService, openFlagService } from "./flag-service.js";

type Kind = "unary" | "clientStream" | "serverStream" | "bidi";
type Answer = readonly unknown[];

const kinds: readonly Kind[] = ["unary", "clientStream", "serverStream", "bidi"];
const serialize = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const deserialize = (bytes: Buffer): unknown => JSON.parse(bytes.toString());
const pathOf = (kind: Kind): string => `/shop.Shop/${kind}`;

let service: FlagService;
const ending: (() => void)[] = [];

beforeAll(async () => {
  service = await openFlagService();
});

afterEach(() => {
  for (const end of ending.splice(0)) end();
});

afterAll(() => service[Symbol.asyncDispose]());

/** What a handler answers: of each call, or at its end. */
type Respond = (flags: RequestFlags, call: { sendMetadata(metadata: Metadata): void }) => Answer | Promise<Answer>;

const definition = Object.fromEntries(
  kinds.map((kind) => [
    kind,
    {
      path: pathOf(kind),
      requestStream: kind === "clientStream" || kind === "bidi",
      responseStream: kind === "serverStream" || kind === "bidi",
      requestSerialize: serialize,
      requestDeserialize: deserialize,
      responseSerialize: serialize,
      responseDeserialize: deserialize,
    },
  ]),
);

function handlersOf(respond: Respond) {
  const unary: handleUnaryCall<unknown, Answer> = async (call, done) => done(null, await respond(flagsOf(call), call));
  const clientStream: handleClientStreamingCall<unknown, Answer> = (call, done) => {
    call.resume().on("end", async () => done(null, await respond(flagsOf(call), call)));
  };
  const serverStream: handleServerStreamingCall<unknown, Answer> = async (call) => {
    call.write(await respond(flagsOf(call), call));
    call.end();
  };
  const bidi: handleBidiStreamingCall<unknown, Answer> = (call) => {
    call.resume().on("end", async () => {
      call.write(await respond(flagsOf(call), call));
      call.end();
    });
  };
  return { unary, clientStream, serverStream, bidi };
}

interface Called {
  readonly answer: Answer | undefined;
  readonly error: ServiceError | undefined;
  /** The initial metadata. */
  readonly header: Metadata | undefined;
}

/** Serves with the interceptor, and calls. The context is the plan of the metadata. */
async function serve(
  respond: Respond,
  options: Partial<FlagwireInterceptorOptions> = {},
): Promise<(kind: Kind, plan?: string) => Promise<Called>> {
  const interceptor = flagwireInterceptor({
    flags: service.mirror,
    context: ({ metadata }) => ({ plan: metadata.get("plan")[0] }),
    ...options,
  });
  return start([interceptor], handlersOf(respond));
}

/** Serves with interceptors, and calls. */
async function start(
  interceptors: readonly ServerInterceptor[],
  handlers: UntypedServiceImplementation,
): Promise<(kind: Kind, plan?: string) => Promise<Called>> {
  const server = new Server({ interceptors: [...interceptors] });
  server.addService(definition, handlers);
  const port = await new Promise<number>((resolve, reject) => {
    const bound = (error: Error | null, bound: number): void => (error ? reject(error) : resolve(bound));
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), bound);
  });
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  ending.push(() => {
    client.close();
    server.forceShutdown();
  });
  return (kind, plan = "free") => {
    const metadata = new Metadata();
    metadata.set("plan", plan);
    return call(client, kind, metadata);
  };
}

function call(client: Client, kind: Kind, metadata: Metadata): Promise<Called> {
  return new Promise((resolve) => {
    let header: Metadata | undefined;
    let answer: Answer | undefined;
    const ended = (error: ServiceError | null, value?: unknown): void =>
      resolve({ error: error ?? undefined, answer: (value as Answer | undefined) ?? answer, header });
    const how = [pathOf(kind), serialize, deserialize] as const;
    const started =
      kind === "unary"
        ? client.makeUnaryRequest(...how, {}, metadata, ended)
        : kind === "clientStream"
          ? client.makeClientStreamRequest(...how, metadata, ended)
          : kind === "serverStream"
            ? client.makeServerStreamRequest(...how, {}, metadata)
            : client.makeBidiStreamRequest(...how, metadata);
    started.on("metadata", (received: Metadata) => {
      header = received;
    });
    if (kind === "serverStream" || kind === "bidi") {
      started.on("data", (value: Answer) => {
        answer = value;
      });
      started.on("error", ended);
      started.on("end", () => ended(null));
    }
    if (started instanceof Writable) {
      started.write({});
      started.end();
    }
  });
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

  it("needs the flag that its method requires", async () => {
    let calls = 0;
    const respond = (): Answer => [++calls];
    const ask = await serve(respond, { requireFlags: { [pathOf(kind)]: "pro" } });
    const denied = await ask(kind, "free");
    expect(denied.error).toMatchObject({
      code: status.PERMISSION_DENIED,
      details: `/shop.Shop/${kind} is not available to this caller`,
    });
    expect(calls).toBe(0);
    expect((await ask(kind, "pro")).answer).toEqual([1]);
  });

  it("lists its active flags in the initial metadata, if wanted", async () => {
    const respond = (flags: RequestFlags): Answer => [flags.string("button", "")];
    const requireFlags = { [pathOf(kind)]: "open" };
    const ask = await serve(respond, { requireFlags, header: true });
    expect((await ask(kind, "pro")).header?.get("flagwire-flags")).toEqual(["open, button=red"]);
    const without = await serve(respond, { requireFlags });
    expect((await without(kind, "pro")).header?.get("flagwire-flags")).toEqual([]);
  });
});

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
    onError: (error, { method }) => errors.push([error, method]),
  });
  expect((await ask("unary", "pro")).answer).toEqual([true, false]);
  expect(errors).toEqual([[expect.objectContaining({ message: "no session" }), "/shop.Shop/unary"]]);
});

it("a call stays at one revision under an interceptor further in, which gives it another context", async () => {
  await service.serve("off");
  const outer = flagwireInterceptor({ flags: service.mirror, header: true });
  const slow: ServerInterceptor = (_method, call) =>
    new ServerInterceptingCall(call, {
      start: (next) => next({ onReceiveMetadata: async (metadata, receive) => receive(await served(metadata)) }),
    });
  const served = async (metadata: Metadata): Promise<Metadata> => {
    flagsOf({ metadata }).string("button", "");
    await service.serve("on");
    return metadata;
  };
  const inner = flagwireInterceptor({ flags: service.mirror, context: () => ({ plan: "pro" }) });
  const respond: Respond = (flags) => [flags.boolean("moving", true), flags.boolean("pro", false)];
  const ask = await start([outer, slow, inner], handlersOf(respond));
  const { answer, header } = await ask("unary");
  expect(answer).toEqual([false, true]);
  expect(header?.get("flagwire-flags")).toEqual(["button=blue, pro"]);
});

it("a required flag without an answer fails closed, or open where that is said", async () => {
  const requireFlags = {
    "/shop.Shop/unary": "open",
    "/shop.Shop/bidi": { key: "open", whenUnknown: "allow" as const },
  };
  const ask = await serve(() => ["in"], { flags: service.unready, requireFlags });
  expect((await ask("unary")).error?.code).toBe(status.PERMISSION_DENIED);
  expect((await ask("bidi")).answer).toEqual(["in"]);
});

it("a denial is what you make of it, and one in any case", async () => {
  const requireFlags = { "/shop.Shop/unary": { key: "button", accept: ["red"] } };
  const details = "for plan pro";
  const ask = await serve(() => ["in"], {
    requireFlags,
    otherwise: () => ({ code: status.FAILED_PRECONDITION, details }),
  });
  expect((await ask("unary", "pro")).answer).toEqual(["in"]);
  expect((await ask("unary")).error).toMatchObject({ code: status.FAILED_PRECONDITION, details });
  const lenient = await serve(() => ["in"], { requireFlags, otherwise: () => ({ code: status.OK }) });
  expect((await lenient("unary")).error?.code).toBe(status.PERMISSION_DENIED);
  const silent = await serve(() => ["in"], { requireFlags, otherwise: () => ({}) });
  expect((await silent("unary")).error?.code).toBe(status.PERMISSION_DENIED);
});

it("a denial whose details have half a character is sent with a mark for it", async () => {
  const requireFlags = { "/shop.Shop/unary": "pro" };
  const ask = await serve(() => ["in"], { requireFlags, otherwise: () => ({ details: "for \ud800 only" }) });
  expect((await ask("unary")).error).toMatchObject({ code: status.PERMISSION_DENIED, details: "for \ufffd only" });
});

it("a denial may have metadata, of any copy of grpc-js", async () => {
  const metadata = new Metadata();
  metadata.set("plan", "pro");
  metadata.set("token-bin", Buffer.from([1, 2]));
  const foreign = { toHttp2Headers: () => metadata.toHttp2Headers() } as Metadata;
  for (const given of [metadata, foreign]) {
    const requireFlags = { "/shop.Shop/unary": "pro" };
    const ask = await serve(() => ["in"], { requireFlags, otherwise: () => ({ metadata: given }) });
    const { error } = await ask("unary");
    expect(error?.code).toBe(status.PERMISSION_DENIED);
    expect([error?.metadata.get("plan"), error?.metadata.get("token-bin")]).toEqual([["pro"], [Buffer.from([1, 2])]]);
  }
});

describe.each(kinds)("a denial of a call of the kind %s", (kind) => {
  it.each<[string, () => unknown]>([
    [
      "that throws",
      () => {
        throw new Error("my secret");
      },
    ],
    ["that is nothing", () => undefined],
    ["that is a promise", () => Promise.reject(new Error("my secret"))],
    ["with metadata that are none", () => ({ metadata: { secret: "my secret" } })],
    ["with metadata that throw", () => ({ metadata: { clone: () => ({}) } })],
    ["with a code that there is not", () => ({ code: 99 })],
    ["with a code by its name", () => ({ code: "NOT_FOUND" })],
    ["with details that are no text", () => ({ details: {} })],
  ])("%s is INTERNAL, and says no more", async (_, otherwise) => {
    let calls = 0;
    const ask = await serve(() => [++calls], {
      requireFlags: { [pathOf(kind)]: "pro" },
      otherwise: otherwise as NonNullable<FlagwireInterceptorOptions["otherwise"]>,
    });
    expect((await ask(kind)).error).toMatchObject({ code: status.INTERNAL, details: "internal error" });
    expect((await ask(kind, "pro")).answer).toEqual([1]);
  });

  it("that throws is told once, by a warning of the process", async () => {
    const warnings: string[] = [];
    const listen = ({ name, message }: Error): unknown => name === "Flagwire" && warnings.push(message);
    process.on("warning", listen);
    const otherwise = (): never => {
      throw new Error("my secret");
    };
    const ask = await serve(() => ["in"], { requireFlags: { [pathOf(kind)]: "pro" }, otherwise });
    await ask(kind);
    await ask(kind);
    process.off("warning", listen);
    expect(warnings).toEqual(["a call ended with INTERNAL: my secret. Further ones are not told."]);
  });
});

describe.each(kinds)("a handler of the kind %s", (kind) => {
  it("that throws ends the call with INTERNAL, and says no more", async () => {
    const interceptor = flagwireInterceptor({ flags: service.mirror });
    const fail = (): never => {
      throw new Error("my secret");
    };
    const ask = await start([interceptor], Object.fromEntries(kinds.map((one) => [one, fail])));
    expect((await ask(kind)).error).toMatchObject({ code: status.INTERNAL, details: "internal error" });
  });
});

it("an error of the code UNKNOWN that a handler answers stays as it is", async () => {
  const interceptor = flagwireInterceptor({ flags: service.mirror });
  const unary: handleUnaryCall<unknown, Answer> = (_call, done) => done({ code: status.UNKNOWN, details: "who knows" });
  const ask = await start([interceptor], { ...handlersOf(() => []), unary });
  expect((await ask("unary")).error).toMatchObject({ code: status.UNKNOWN, details: "who knows" });
});

it("flags that throw, as those of tests may, end the call and not the server", async () => {
  const flags = createTestFlags({ open: true }, { strict: true });
  const requireFlags = { "/shop.Shop/unary": { key: "opne", whenUnknown: "allow" as const } };
  const ask = await serve((own) => [own.boolean("open", false)], { flags, requireFlags });
  expect((await ask("unary")).error).toMatchObject({ code: status.INTERNAL, details: "internal error" });
  expect((await ask("bidi")).answer).toEqual([true]);
});

it("metadata that a handler sends with all its answers stay as they are", async () => {
  const shared = new Metadata();
  const respond: Respond = (flags, call) => {
    const answer = [flags.boolean("pro", false)];
    call.sendMetadata(shared);
    return answer;
  };
  const ask = await serve(respond, { header: true });
  expect((await ask("unary", "pro")).header?.get("flagwire-flags")).toEqual(["pro"]);
  expect((await ask("unary", "free")).header?.get("flagwire-flags")).toEqual([]);
});

it("a handler without the interceptor is told", () => {
  expect(() => flagsOf({ metadata: new Metadata() })).toThrow("the server needs flagwireInterceptor");
});

it.each<[string, unknown]>([
  ["a map", new Map([["/shop.Shop/unary", "open"]])],
  ["a list", [["/shop.Shop/unary", "open"]]],
  ["a text", "/shop.Shop/unary"],
  ["a number", 1],
  ["null", null],
])("%s is refused as the flags that methods require, for it would require none", (_name, requireFlags) => {
  const options = { flags: service.mirror, requireFlags: requireFlags as Record<string, string> };
  expect(() => flagwireInterceptor(options)).toThrow("requireFlags must be an object, from methods to flags");
});

it.each([undefined, null, true, {}, []])("%j is refused as the flag of a method", (flag) => {
  const requireFlags = { "/shop.Shop/unary": flag as unknown as string };
  expect(() => flagwireInterceptor({ flags: service.mirror, requireFlags })).toThrow(
    "requireFlags: /shop.Shop/unary must have the key of a flag, or an object with one",
  );
});

it("an otherwise that is no function is refused", () => {
  const otherwise = { code: status.NOT_FOUND } as unknown as () => object;
  expect(() => flagwireInterceptor({ flags: service.mirror, otherwise })).toThrow("otherwise must be a function");
});

it.each(["shop.Shop/unary", "/shop.Shop", "/shop.Shop/unary/", "unary"])(
  "%s is refused as the name of a method",
  (name) => {
    expect(() => flagwireInterceptor({ flags: service.mirror, requireFlags: { [name]: "open" } })).toThrow(
      `requireFlags: ${name} must be like /package.Service/Method`,
    );
  },
);

it.each(["grpc-flags", "flags-bin"])("%s is refused as the name of metadata", (header) => {
  expect(() => flagwireInterceptor({ flags: service.mirror, header })).toThrow("header must be a name for metadata");
});
