import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { pino } from "pino";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import type { RampStepSchema, Serve, Targeting } from "../../gen/flagwire/v1/targeting_pb.js";
import { ListenProblem, openServer } from "../../src/server/index.js";
import type { Store } from "../../src/store/index.js";
import { VirtualClock } from "../support/virtual-clock.js";

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** A virtual clock whose wall time can be set. */
export class JumpingClock extends VirtualClock {
  #offsetMs = 0;

  /** `turns`: how long a step has before the next timer fires: it is a commit, after which the head moves and tells of it. */
  constructor(turns = 12) {
    super(Date.UTC(2026, 0, 1), turns);
  }

  override now(): number {
    return super.now() + this.#offsetMs;
  }

  /** Sets the wall clock forward, or back, while no time passes. */
  jump(ms: number): void {
    this.#offsetMs += ms;
  }
}

/** A server on a store that outlives it. */
export async function serveStore(store: Store, clock: JumpingClock) {
  const listen = { host: "127.0.0.1", port: 0 };
  const server = await openServer({ store, clock, listen, log: pino({ level: "silent" }) });
  if (server instanceof ListenProblem) throw new Error(server.message);
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${server.address.port}` });
  return { admin: createClient(AdminService, transport), stop: () => server.stop(100) };
}

export type RampServer = Awaited<ReturnType<typeof serveStore>>;

/** Steps such as `[[1, DAY], [5, 2 * DAY], [100]]`: percentages, and how long. */
export function steps(...all: readonly (readonly [number, number?])[]): MessageInitShape<typeof RampStepSchema>[] {
  return all.map(([percent, ms]) => ({
    weight: percent * 1_000,
    ...(ms !== undefined && { duration: durationFromMs(ms) }),
  }));
}

/** Such as `5% on, 95% off`. */
export function told(serve: Serve | undefined): string {
  const kind = serve?.kind;
  if (kind?.case !== "rollout") return kind?.value ?? "nothing";
  return kind.value.shares.map(({ variant, weight }) => `${weight / 1_000}% ${variant}`).join(", ");
}

export async function targetingOf({ admin }: RampServer, flagKey = "a"): Promise<Targeting> {
  const { targeting } = await admin.getTargeting({ flagKey });
  if (targeting === undefined) throw new Error("no targeting");
  return targeting;
}

/** What the default serves now. */
export async function servedBy(server: RampServer): Promise<string> {
  return told((await targetingOf(server)).default);
}

/** The comments of the steps that were carried out, in order. */
export async function stepsOf({ admin }: RampServer): Promise<string[]> {
  const { entries } = await admin.listHistory({ pageSize: 1_000 });
  return entries
    .filter(({ author }) => author === "ramp")
    .map(({ comment }) => comment)
    .reverse();
}

/** A store that commits in another way. */
export function withCommit(
  store: Store,
  commit: (store: Store, ...parameters: Parameters<Store["commit"]>) => ReturnType<Store["commit"]>,
): Store {
  return new Proxy(store, {
    get(target, name) {
      if (name === "commit") return (...parameters: Parameters<Store["commit"]>) => commit(target, ...parameters);
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
