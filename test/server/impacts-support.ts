import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import {
  ConnectError,
  type ConnectRouter,
  createClient,
  createRouterTransport,
  type HandlerContext,
} from "@connectrpc/connect";
import { onTestFinished } from "vitest";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EnvironmentSchema } from "../../gen/flagwire/v1/environment_pb.js";
import { systemClock, systemRandom } from "../../src/base/index.js";
import type { Context } from "../../src/engine/index.js";
import type { Identity } from "../../src/server/access/identity.js";
import { adminHandlers } from "../../src/server/admin/admin-handlers.js";
import { putEnvironment } from "../../src/server/admin/records.js";
import { eventLoopTurns, type Turns } from "../../src/server/admin/steps.js";
import { Writer } from "../../src/server/admin/writer.js";
import type { KeptContext, KeptContexts } from "../../src/server/contexts/kept-contexts.js";
import type { Call } from "../../src/server/handlers.js";
import { isRefusal } from "../../src/server/refusal.js";
import { Head } from "../../src/server/state/head.js";
import { toStatusDetails, toStatusNumber } from "../../src/server/status.js";
import { createMemoryUsageLedger } from "../../src/server/usage/memory-usage-ledger.js";
import { openMemoryStore } from "../../src/store/index.js";
import { createWatchHub } from "../../src/watch/index.js";
import { anybody } from "./open-gate.js";

/** Contexts that stay as they were put here, the first one kept at 1,000 ms, each further one a second earlier. */
export class FixedContexts implements KeptContexts {
  readonly #byEnvironment = new Map<string, readonly KeptContext[]>();

  put(environment: string, contexts: readonly Context[]): void {
    const last = contexts.length;
    const kept = contexts.map((context, index) => ({ context, keptMs: (last - index) * 1_000 }));
    this.#byEnvironment.set(environment, kept);
  }

  async keep(): Promise<void> {
    throw new Error("nothing is evaluated here");
  }

  async list(environment: string): Promise<readonly KeptContext[]> {
    return this.#byEnvironment.get(environment) ?? [];
  }

  async count(environment: string): Promise<number> {
    return this.#byEnvironment.get(environment)?.length ?? 0;
  }
}

export interface AdminOptions {
  /** Default: production. All of them keep contexts. */
  readonly environments?: readonly string[];
  /** Default: everybody's. */
  readonly privateAttributes?: readonly string[];
  readonly turns?: Turns;
}

/** The handlers of AdminService over a store in memory, beside contexts of the test's own, and a client for them. */
export async function openAdmin(options: AdminOptions = {}) {
  const { environments = ["production"], privateAttributes = [] } = options;
  const store = await openMemoryStore();
  const named = (name: string) => ({ name, keepContexts: true, privateAttributes: [...privateAttributes] });
  const changes = environments.map((name) => putEnvironment(create(EnvironmentSchema, named(name))));
  await store.commit({ timeMs: 1, author: "test", comment: "", changes, preconditions: [] });
  const head = await Head.open(store, createWatchHub({ clock: systemClock, random: systemRandom }));
  onTestFinished(async () => {
    await head.close();
    await store.close();
  });
  const contexts = new FixedContexts();
  const writer = new Writer(head, systemClock, options.turns ?? eventLoopTurns(systemClock));
  const handlers = adminHandlers({ head, writer, contexts }, createMemoryUsageLedger(systemClock));
  const routesFor = (identity: Identity) => (router: ConnectRouter) => {
    const implementation = Object.entries(handlers).map(([name, handler]) => [
      name,
      async (request: never, { signal }: HandlerContext) =>
        answerOf(await (handler as UntypedHandler)(request, { ...callOf(signal), identity })),
    ]);
    router.service(AdminService, Object.fromEntries(implementation));
  };
  const adminAs = (identity: Identity) => createClient(AdminService, createRouterTransport(routesFor(identity)));
  return { head, writer, handlers, contexts, admin: adminAs(anybody), adminAs, routes: routesFor(anybody) };
}

export type OpenAdmin = Awaited<ReturnType<typeof openAdmin>>;

type UntypedHandler = (request: unknown, call: Call) => unknown;

export function callOf(signal: AbortSignal = new AbortController().signal): Call {
  return { signal, header: () => undefined, peer: "test", identity: anybody };
}

function answerOf(answer: unknown): MessageShape<DescMessage> {
  if (!isRefusal(answer)) return answer as MessageShape<DescMessage>;
  throw new ConnectError(answer.message, toStatusNumber(answer.code), undefined, toStatusDetails(answer));
}

/** `u0`, `u1`, … */
export const users = (count: number): Context[] =>
  Array.from({ length: count }, (_, index) => ({ targetingKey: `u${index}` }));
