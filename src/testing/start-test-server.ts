import { randomUUID } from "node:crypto";
import { clone, create, fromJson } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EnvironmentSchema } from "../../gen/flagwire/v1/environment_pb.js";
import { type FlagFile, FlagFileSchema } from "../../gen/flagwire/v1/history_pb.js";
import type { Targeting } from "../../gen/flagwire/v1/targeting_pb.js";
import { type FlagState, FlagStateSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { BadRequestSchema } from "../../gen/google/rpc/error_details_pb.js";
import { Sequence } from "../base/index.js";
import type { FlagwireServer } from "../server/index.js";
import type { Store } from "../store/index.js";
import { redefined, type SetOptions } from "./flag-state.js";
import { readValues } from "./read-definitions.js";
import { type FlagFileSource, nameOf, readFlagFile } from "./read-flag-file.js";
import type { ServerParts } from "./server-parts.js";
import type { KillOptions } from "./test-flags.js";
import type { InEnvironment, TestServer, TestServerOptions, TokenOptions, TokenRole } from "./test-server.js";
import type { TestValue, VariantName, VariantValues } from "./test-value.js";

/**
 * Starts a server for end-to-end tests: whatever speaks to a Flagwire server can be pointed at it. Rejects where the port cannot
 * be had, with a `TypeError` where the flags are none, and with the server's `ConnectError` where it refuses them.
 */
export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const file = initialFile(options);
  const { port = 0, corsOrigins = [] } = options;
  const { createServerParts } = await loadServer();
  const ownToken = randomUUID();
  const parts = createServerParts({ host: HOST, corsOrigins, ownToken });
  const server = new LocalServer(parts, await parts.openStore(), port, ownToken);
  try {
    await server.restart();
    if (file.flags.length + file.segments.length + file.environments.length > 0) await server.import(file, PRODUCTION);
    return server;
  } catch (error) {
    await server.close();
    throw error;
  }
}

/**
 * Here and not before, so that tests without a server load none. One module, once: where a runner loads modules into a sandbox,
 * as vitest does with vmThreads, loads that overlap fail.
 */
function loadServer(): Promise<typeof import("./server-parts.js")> {
  loading ??= import("./server-parts.js");
  return loading;
}

let loading: Promise<typeof import("./server-parts.js")> | undefined;

/** A server that runs, and the connection of its admin client. */
interface Running {
  readonly server: FlagwireServer;
  readonly connection: Http2SessionManager;
  readonly admin: TestServer["admin"];
}

class LocalServer implements TestServer {
  readonly #parts: ServerParts;
  readonly #store: Store;
  readonly #ownToken: string;
  #port: number;
  #running: Running | undefined;
  #closing: Promise<void> | undefined;
  readonly #lifecycle = new Sequence();
  /** A write looks at the flags first, so nothing may change them until it is done. */
  readonly #writes = new Sequence();

  constructor(parts: ServerParts, store: Store, port: number, ownToken: string) {
    this.#parts = parts;
    this.#store = store;
    this.#port = port;
    this.#ownToken = ownToken;
  }

  get address(): string {
    return `${HOST}:${this.#port}`;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  get admin(): TestServer["admin"] {
    if (this.#running !== undefined) return this.#running.admin;
    throw new Error(
      `the test server is ${this.#closing === undefined ? "stopped: restart() starts it again" : "closed"}`,
    );
  }

  set(
    key: string,
    value: TestValue | VariantName | VariantValues,
    options: SetOptions & InEnvironment = {},
  ): Promise<number> {
    return this.#writes.next(() => this.#set(key, value, options));
  }

  remove(key: string): Promise<number> {
    return this.#writes.next(async () => revisionOf(await this.admin.deleteFlag({ key })));
  }

  async apply(file: FlagFileSource, { environment = PRODUCTION }: InEnvironment = {}): Promise<number> {
    const parsed = parseFile(file, environment);
    return this.#writes.next(() => this.import(parsed, environment));
  }

  kill(key: string, options: InEnvironment & KillOptions = {}): Promise<number> {
    const { environment = PRODUCTION, reason = "a test" } = options;
    const request = { flagKeys: [key], environment, reason };
    return this.#writes.next(async () => revisionOf(await this.admin.killFlags(request)));
  }

  revive(key: string, { environment = PRODUCTION }: InEnvironment = {}): Promise<number> {
    const request = { flagKeys: [key], environment };
    return this.#writes.next(async () => revisionOf(await this.admin.reviveFlags(request)));
  }

  async createToken(role: TokenRole, { environments = [] }: TokenOptions = {}): Promise<string> {
    if (!Object.hasOwn(ROLES, role)) throw new TypeError(`${role} is none of ${Object.keys(ROLES).join(", ")}`);
    const token = { name: `a test's ${role}`, role: ROLES[role], environments: [...environments] };
    const { bearer } = await this.admin.createToken({ token });
    return bearer;
  }

  async #set(
    key: string,
    value: TestValue | VariantName | VariantValues,
    { environment: chosen, changeType = false }: SetOptions & InEnvironment,
  ): Promise<number> {
    const environments = chosen === undefined ? await this.#environments() : [chosen];
    const { flag, targetings } = await this.#find(key);
    const states = environments.map((environment) => {
      const targeting = targetings.find((one) => one.environment === environment);
      const before =
        flag === undefined ? undefined : create(FlagStateSchema, { flag, ...(targeting && { targeting }) });
      // The variants are those of all environments, so that the others go on serving theirs.
      return inEnvironment(redefined(key, before, value, { changeType, replaces: chosen === undefined }), environment);
    });
    let revision = await this.import(toFile(states), PRODUCTION);
    // No file revives a flag.
    for (const { environment, killed } of targetings) {
      if (killed === undefined || !environments.includes(environment)) continue;
      revision = revisionOf(await this.admin.reviveFlags({ flagKeys: [key], environment }));
    }
    return revision;
  }

  /** Takes the keys of deleted flags all the same: a test means them. */
  async import(file: FlagFile, environment: string): Promise<number> {
    const request = { file, environment, force: true, comment: "a test" };
    try {
      return revisionOf(await this.admin.import(only(request)));
    } catch (error) {
      throw withViolations(error);
    }
  }

  stop(deadlineMs: number = DRAIN_DEADLINE_MS): Promise<void> {
    return this.#lifecycle.next(() => this.#stop(deadlineMs));
  }

  async restart(): Promise<void> {
    if (this.#closing !== undefined) throw new Error("the test server is closed");
    await this.#lifecycle.next(() => this.#restart());
  }

  close(): Promise<void> {
    this.#closing ??= this.#lifecycle.next(() => this.#stop(DRAIN_DEADLINE_MS).finally(() => this.#store.close()));
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #stop(deadlineMs: number): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    running?.connection.abort();
    await running?.server.stop(deadlineMs);
  }

  async #restart(): Promise<void> {
    await this.#stop(DRAIN_DEADLINE_MS);
    const server = await this.#parts.open(this.#store, this.#port);
    this.#port = server.address.port;
    const baseUrl = `http://${this.address}`;
    const connection = new Http2SessionManager(baseUrl);
    const interceptors = [presentToken(this.#ownToken)];
    const transport = createGrpcTransport({ baseUrl, sessionManager: connection, interceptors });
    const admin = createClient(AdminService, transport);
    this.#running = { server, connection, admin };
  }

  async #environments(): Promise<string[]> {
    const { environments } = await this.admin.listEnvironments({});
    return environments.map(({ name }) => name);
  }

  async #find(key: string): Promise<Pick<FlagState, "flag"> & { readonly targetings: readonly Targeting[] }> {
    try {
      const { flag, targetings } = await this.admin.getFlag({ key });
      return { ...(flag && { flag }), targetings };
    } catch (error) {
      if (error instanceof ConnectError && error.code === Code.NotFound) return { targetings: [] };
      throw error;
    }
  }
}

function presentToken(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
}

function revisionOf({ revision }: { readonly revision: bigint }): number {
  return Number(revision);
}

async function* only<T>(item: T): AsyncGenerator<T> {
  yield item;
}

/** A refusal with what is wrong in its text, where a test's report shows it. */
function withViolations(error: unknown): unknown {
  if (!(error instanceof ConnectError)) return error;
  const violations = error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  if (violations.length === 0) return error;
  const named = violations.map(({ field, description }) => `${field} ${description}`).join("; ");
  return new ConnectError(`${error.rawMessage}: ${named}`, error.code, error.metadata, [], error);
}

function initialFile({ flags = {}, file, environments = [] }: TestServerOptions): FlagFile {
  const initial = file === undefined ? create(FlagFileSchema) : parseFile(file, PRODUCTION);
  const named = new Set([PRODUCTION, ...initial.environments.map(({ name }) => name)]);
  for (const name of environments) {
    if (!named.has(name)) initial.environments.push(create(EnvironmentSchema, { name }));
    named.add(name);
  }
  for (const state of readValues(flags).values()) {
    const added = toFile([...named].map((environment) => inEnvironment(state, environment)));
    initial.flags.push(...added.flags);
    initial.targetings.push(...added.targetings);
  }
  return initial;
}

/** One flag, as it is in several environments. */
function toFile(states: readonly FlagState[]): FlagFile {
  const flag = states[0]?.flag;
  const targetings = states.flatMap(({ targeting }) => targeting ?? []);
  return create(FlagFileSchema, { flags: flag === undefined ? [] : [flag], targetings });
}

function inEnvironment(state: FlagState, environment: string): FlagState {
  const moved = clone(FlagStateSchema, state);
  if (moved.targeting !== undefined) moved.targeting.environment = environment;
  return moved;
}

function parseFile(file: FlagFileSource, environment: string): FlagFile {
  const json = readFlagFile(file, environment);
  try {
    return fromJson(FlagFileSchema, json);
  } catch (error) {
    throw new TypeError(`${nameOf(file)}: ${(error as Error).message}`, { cause: error });
  }
}

const ROLES: Readonly<Record<TokenRole, Role>> = {
  evaluator: Role.EVALUATOR,
  reader: Role.READER,
  operator: Role.OPERATOR,
  editor: Role.EDITOR,
  admin: Role.ADMIN,
};
const HOST = "127.0.0.1";
const PRODUCTION = "production";
const DRAIN_DEADLINE_MS = 200;
