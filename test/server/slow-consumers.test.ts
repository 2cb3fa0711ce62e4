import { randomBytes } from "node:crypto";
import { type ClientHttp2Session, connect } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EvaluationService, WatchRequestSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { type Child, startChild } from "../store/child-process.js";
import { type Build, buildProgram } from "../support/build-program.js";
import { openChaosProxy, type ProxyMode } from "../support/chaos-proxy.js";
import { stringFlag, text } from "./admin-support.js";

const STALL_TIMEOUT_MS = 1_500;
/** Longer than any test. */
const NEVER_MS = 3_600_000;
const WRITE_BYTES = 200_000;
const WRITES = 300;
/** What many large writes leave behind for a while, whoever watches. What was written is several times that. */
const MAX_GROWTH_BYTES = 40 * 2 ** 20;

let build: Build;
beforeAll(async () => {
  build = await buildProgram("test/server/children");
}, 60_000);
afterAll(() => build.remove());

type Protocol = "gRPC" | "Connect";

/** What the server says of itself. */
interface Stats {
  readonly watchers: number;
  readonly stalledClients: number;
  readonly liveBytes: number;
}

/** A server in a process of its own, with one watcher that reads. */
class Service {
  readonly seen: bigint[] = [];
  #watchers = 1;
  readonly #abort = new AbortController();
  readonly #admin;

  private constructor(
    readonly child: Child,
    readonly port: number,
  ) {
    const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` });
    this.#admin = createClient(AdminService, transport);
    void this.#watch(createClient(EvaluationService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` })));
  }

  static async start(stallTimeoutMs: number): Promise<Service> {
    const program = build.compiled("test/server/children/serve-in-memory.ts");
    const child = startChild(process.execPath, ["--expose-gc", program, String(stallTimeoutMs)]);
    await vi.waitFor(() => expect(child.lines[0]).toHaveProperty("port"), { timeout: 15_000, interval: 5 });
    const service = new Service(child, Number(child.lines[0]?.port));
    await service.#admin.createFlag({ flag: stringFlag("large", [], { variants: { v: text("") } }) });
    await service.reaches({ watchers: 1 });
    return service;
  }

  get stats(): Stats {
    return this.child.lines.at(-1) as unknown as Stats;
  }

  /** How many watch when so many more do. */
  expected(more: number): number {
    this.#watchers += more;
    return this.#watchers;
  }

  /** Resolves once the server says so. */
  async reaches(stats: Partial<Stats>): Promise<void> {
    await vi.waitFor(() => expect(this.stats).toMatchObject(stats), { timeout: 30_000, interval: 20 });
  }

  /** Makes a large change, and waits until the watcher that reads has it. */
  async write(): Promise<void> {
    // By chance, because Connect's clients ask for compressed messages.
    const value = text(randomBytes(WRITE_BYTES / 2).toString("hex"));
    const { revision } = await this.#admin.updateFlag({ flag: stringFlag("large", [], { variants: { v: value } }) });
    await vi.waitFor(() => expect(this.seen.at(-1)).toBe(revision), { timeout: 10_000, interval: 1 });
  }

  stopWatching(): void {
    this.#abort.abort();
  }

  async #watch(evaluation: ReturnType<typeof createClient<typeof EvaluationService>>): Promise<void> {
    try {
      for await (const { commit } of evaluation.watch({}, { signal: this.#abort.signal })) {
        if (commit?.position !== undefined) this.seen.push(commit.position.revision);
      }
    } catch {
      // It was stopped, or the server with the test.
    }
  }
}

/** Opens streams that are read, and then not any more. */
type SlowDown = (service: Service, protocol: Protocol, count: number) => Promise<void>;

/** Behind a proxy, from the moment that all are watching. */
function behindProxy(mode: ProxyMode): SlowDown {
  return async (service, protocol, count) => {
    const proxy = await openChaosProxy(service.port);
    onTestFinished(() => proxy[Symbol.asyncDispose]());
    const baseUrl = `http://${proxy.address}`;
    for (let index = 0; index < count; index++) {
      const transport =
        protocol === "gRPC"
          ? createGrpcTransport({ baseUrl })
          : createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: true });
      void readAll(createClient(EvaluationService, transport).watch({}));
    }
    await service.reaches({ watchers: service.expected(count) });
    proxy.switchTo(mode);
  };
}

async function readAll(messages: AsyncIterable<unknown>): Promise<void> {
  try {
    for await (const _ of messages);
  } catch {
    // Cut off, as it should be.
  }
}

/** The connection is read, so that pings are answered; the stream is not. */
const onlyTheConnection: SlowDown = async (service, _protocol, count) => {
  const message = toBinary(WatchRequestSchema, create(WatchRequestSchema));
  const frame = Buffer.concat([Buffer.alloc(5), message]);
  frame.writeUInt32BE(message.length, 1);
  for (let index = 0; index < count; index++) {
    const session: ClientHttp2Session = connect(`http://127.0.0.1:${service.port}`);
    onTestFinished(() => session.destroy());
    session.on("error", () => {});
    const headers = { "content-type": "application/grpc", te: "trailers" };
    const stream = session.request({ ":method": "POST", ":path": "/flagwire.v1.EvaluationService/Watch", ...headers });
    stream.on("error", () => {});
    stream.end(frame);
  }
  await service.reaches({ watchers: service.expected(count) });
};

const stoppedProcess: SlowDown = async (service, protocol, count) => {
  const program = build.compiled("test/server/children/watch-many.ts");
  const child = startChild(process.execPath, [program, String(service.port), protocol, String(count)]);
  await service.reaches({ watchers: service.expected(count) });
  child.kill("SIGSTOP");
};

interface Kind {
  readonly name: string;
  readonly count: number;
  readonly slowDown: SlowDown;
}

const neverRead = behindProxy({ kind: "stall" });
const aByteASecond = behindProxy({ kind: "throttle", bytesPerSecond: 1 });

const KINDS: Readonly<Record<Protocol, readonly Kind[]>> = {
  gRPC: [
    { name: "never read", count: 8, slowDown: neverRead },
    { name: "take a byte a second", count: 8, slowDown: aByteASecond },
    { name: "read their connection but not their stream", count: 8, slowDown: onlyTheConnection },
    { name: "are in a stopped process", count: 8, slowDown: stoppedProcess },
  ],
  // What HTTP/1.1 has no window for, the kernel's buffers take: several megabytes each.
  Connect: [
    { name: "never read", count: 3, slowDown: neverRead },
    { name: "take a byte a second", count: 3, slowDown: aByteASecond },
    { name: "are in a stopped process", count: 3, slowDown: stoppedProcess },
  ],
};

describe.each<Protocol>(["gRPC", "Connect"])("watchers over %s", (protocol) => {
  const kinds = KINDS[protocol];
  const all = kinds.reduce((sum, { count }) => sum + count, 0);
  const names = kinds.map(({ name }) => name).join(", ");

  async function slowDown(service: Service): Promise<void> {
    for (const kind of kinds) await kind.slowDown(service, protocol, kind.count);
  }

  it(`that ${names} cost bounded memory, and nobody else notices`, { timeout: 60_000 }, async () => {
    const service = await Service.start(NEVER_MS);
    await slowDown(service);
    const before = service.stats.liveBytes;
    // The watcher that reads has each change before the next is made.
    for (let index = 0; index < WRITES; index++) await service.write();
    expect(service.stats).toMatchObject({ watchers: all + 1, stalledClients: 0 });
    await vi.waitFor(() => expect(service.stats.liveBytes - before).toBeLessThan(MAX_GROWTH_BYTES), {
      timeout: 20_000,
      interval: 50,
    });
  });

  it(`that ${names} are cut off in time, and leave nothing behind`, { timeout: 60_000 }, async () => {
    const service = await Service.start(STALL_TIMEOUT_MS);
    await slowDown(service);
    while (service.stats.stalledClients < all) await service.write();
    await service.reaches({ watchers: 1, stalledClients: all });
    expect(service.seen).toEqual(service.seen.map((_, index) => (service.seen[0] ?? 0n) + BigInt(index)));
    service.stopWatching();
    await service.reaches({ watchers: 0 });
  });
});
