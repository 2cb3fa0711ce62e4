import { create } from "@bufbuild/protobuf";
import { FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import type { CallOptions, Client } from "@connectrpc/connect";
import type { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import { FlagKind, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import type { Chance } from "./chance.js";

type Admin = Client<typeof AdminService>;

/** The flags that all writers change. */
export const SHARED_FLAGS: readonly string[] = Array.from({ length: 6 }, (_, index) => `shared-${index}`);
/** The environments that they are changed in. */
export const ENVIRONMENTS = ["production", "staging"] as const;

/** A write that may be tried again and again, with the same content and the same idempotency key. */
export interface PlannedWrite {
  /** Its idempotency key and its comment in history. */
  readonly id: string;
  readonly expectedRevision?: number | undefined;
  readonly mayChangeNothing?: boolean;
  make(admin: Admin, options: CallOptions): Promise<{ readonly revision: bigint }>;
}

/** What every run begins with. */
export async function createShared(admin: Admin): Promise<void> {
  await admin.createEnvironment({ environment: { name: "staging" }, comment: "staging" });
  for (const key of SHARED_FLAGS) {
    await admin.createFlag({ flag: booleanFlag(key), targeting: { ...ON, flagKey: key }, comment: key });
  }
}

/** The next write of a writer that was last answered at `seen`. Some of them must be refused. */
export function planWrite(id: string, seen: number, chance: Chance): PlannedWrite {
  const write = { idempotencyKey: id, comment: id };
  const flagKey = chance.oneOf(SHARED_FLAGS);
  const environment = chance.oneOf(ENVIRONMENTS);
  const targets = [{ variant: chance.oneOf(["on", "off"]), targetingKeys: [id, `user-${chance.between(0, 9)}`] }];
  const updateMask = create(FieldMaskSchema, { paths: ["targets", "enabled"] });
  const update = { ...write, environment, targeting: { flagKey, enabled: chance.happens(0.9), targets }, updateMask };
  const expectedRevision = Math.max(1, seen - chance.between(0, 3));
  const segment = { key: `segment-${chance.between(0, 3)}`, included: [id] };
  const kinds: readonly (() => PlannedWrite)[] = [
    () => ({ id, make: (admin, options) => admin.updateTargeting(update, options) }),
    () => ({
      id,
      expectedRevision,
      make: (admin, options) =>
        admin.updateTargeting({ ...update, expectedRevision: BigInt(expectedRevision) }, options),
    }),
    () => ({
      id,
      make: (admin, options) => admin.createFlag({ ...write, flag: booleanFlag(id), targeting: ON }, options),
    }),
    () => ({ id, make: (admin, options) => admin.createFlag({ ...write, flag: booleanFlag(flagKey) }, options) }),
    () => ({
      id,
      mayChangeNothing: true,
      make: (admin, options) => admin.killFlags({ ...write, environment, flagKeys: [flagKey], reason: id }, options),
    }),
    () => ({
      id,
      mayChangeNothing: true,
      make: (admin, options) => admin.reviveFlags({ ...write, environment, flagKeys: [flagKey] }, options),
    }),
    () => ({
      id,
      make: (admin, options) =>
        admin.import(once({ ...write, environment, itemCount: 1, file: { segments: [segment] } }), options),
    }),
  ];
  // Creating is rarer: what a mirror holds should stay small.
  const index = chance.happens(0.6) ? chance.between(0, 1) : chance.between(2, kinds.length - 1);
  const plan = kinds[index];
  if (plan === undefined) throw new Error("there is no such kind of write");
  return plan();
}

const ON = { enabled: true, offVariant: "off", default: { kind: { case: "variant", value: "on" } } } as const;

function booleanFlag(key: string) {
  return {
    key,
    type: FlagType.BOOLEAN,
    kind: FlagKind.OPERATIONAL,
    variants: {
      on: { kind: { case: "boolValue", value: true } },
      off: { kind: { case: "boolValue", value: false } },
    },
  } as const;
}

async function* once<T>(message: T): AsyncGenerator<T> {
  yield message;
}
