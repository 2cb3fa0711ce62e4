import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { pino } from "pino";
import { expect, vi } from "vitest";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { FlagKind, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { type FlagwireServer, ListenProblem, openServer } from "../../src/server/index.js";
import { openMemoryStore } from "../../src/store/index.js";
import { SEED } from "../engine/arbitrary-words.js";

/** How much more than usual is tried: `FLAGWIRE_FUZZ=50 npx vitest run test/server/fuzz`. */
export const FACTOR = Number(process.env.FLAGWIRE_FUZZ ?? 1);

/** The key of a flag that nobody without a token may learn of. */
export const CANARY = "canary-flag";

/** Numbers that a seed decides; of 32 bits, by xorshift. */
export class Chance {
  #state: number;

  constructor(seed = SEED) {
    this.#state = seed | 1;
  }

  below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % limit;
  }

  one<T>(values: readonly [T, ...T[]]): T {
    return values[this.below(values.length)] ?? values[0];
  }

  bytes(maxLength: number): Buffer {
    return Buffer.from(Array.from({ length: this.below(maxLength + 1) }, () => this.below(256)));
  }

  /** The same bytes with some changed, cut off, repeated or added. */
  mutate(from: Buffer): Buffer {
    let bytes = Buffer.from(from);
    for (let times = this.below(4); times > 0; times--) {
      const at = this.below(bytes.byteLength + 1);
      const kind = this.below(4);
      if (kind === 0 && at < bytes.byteLength) bytes[at] = this.below(256);
      else if (kind === 1) bytes = bytes.subarray(0, at);
      else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, at), this.bytes(8), bytes.subarray(at)]);
      else bytes = Buffer.concat([bytes, bytes.subarray(at)]);
    }
    return bytes;
  }
}

/** A whole server with a flag and a token, that keeps what it logs. */
export class FuzzedServer {
  readonly server: FlagwireServer;
  readonly token: string;
  /** What was logged as a bug of its own. */
  readonly errors: string[];

  static async open(): Promise<FuzzedServer> {
    const errors: string[] = [];
    const log = pino({ level: "error" }, { write: (line: string) => void errors.push(line) });
    const server = await openServer({
      store: await openMemoryStore(),
      listen: { host: "127.0.0.1", port: 0 },
      log,
      // A connection that is gone without having said so, as Node leaves some that broke the protocol, is found by a ping.
      limits: {
        prefaceTimeoutMs: 1_000,
        headersTimeoutMs: 1_000,
        stallTimeoutMs: 2_000,
        unaryTimeoutMs: 2_000,
        pingIntervalMs: 300,
        pingTimeoutMs: 2_000,
      },
    });
    if (server instanceof ListenProblem) throw new Error(server.message);
    const sessionManager = new Http2SessionManager(toUrl(server));
    const admin = createClient(AdminService, createGrpcTransport({ baseUrl: toUrl(server), sessionManager }));
    const variants = {
      on: { kind: { case: "boolValue" as const, value: true } },
      off: { kind: { case: "boolValue" as const, value: false } },
    };
    await admin.createFlag({ flag: { key: CANARY, type: FlagType.BOOLEAN, kind: FlagKind.OPERATIONAL, variants } });
    const { bearer } = await admin.createToken({ token: { name: "fuzz", role: Role.ADMIN } });
    sessionManager.abort();
    return new FuzzedServer(server, bearer, errors);
  }

  private constructor(server: FlagwireServer, token: string, errors: string[]) {
    this.server = server;
    this.token = token;
    this.errors = errors;
  }

  get url(): string {
    return toUrl(this.server);
  }

  http2(): ClientHttp2Session {
    const session = connectHttp2(this.url);
    session.on("error", () => {});
    return session;
  }

  socket(): Socket {
    const socket = connect(this.server.address.port, this.server.address.host);
    socket.on("error", () => {});
    socket.resume();
    return socket;
  }

  /** That it answers as if nothing had happened, has logged no bug, and holds nothing of those who have gone. */
  async expectSound(): Promise<void> {
    expect(this.errors).toEqual([]);
    const path = "/flagwire.v1.EvaluationService/BulkEvaluate";
    const answer = await fetch(`${this.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${this.token}`, connection: "close" },
      body: "{}",
    });
    // What was changed with the right token is as it should be; that it answers is what counts.
    expect(answer.status).toBe(200);
    expect(await answer.json()).toHaveProperty("revision");
  }

  /** That nothing is left once the clients have gone. */
  async expectEmpty(): Promise<void> {
    await vi.waitFor(
      () => {
        const { connections, watchers } = this.server.stats();
        expect({ ...connections, watchers }).toEqual({ grpc: 0, http: 0, undecided: 0, watchers: 0 });
      },
      { timeout: 10_000, interval: 20 },
    );
  }
}

function toUrl({ address }: FlagwireServer): string {
  return `http://${address.host}:${address.port}`;
}
