import { create } from "@bufbuild/protobuf";
import type { Flag } from "../../gen/flagwire/v1/flag_pb.js";
import { type Rollout, RolloutSchema, type Share, ShareSchema } from "../../gen/flagwire/v1/rollout_pb.js";
import type { Targeting } from "../../gen/flagwire/v1/targeting_pb.js";
import { usageFailure } from "./failure.js";
import { totalWeight, type WantedRollout, type WantedShare } from "./parse-rollout.js";

/**
 * The rollout to serve by default. Where a rollout is served already its order of shares, salt, attribute and algorithm
 * stay, so that growing a share moves nobody who has it.
 */
export function planRollout(
  flag: Flag,
  current: Targeting | undefined,
  wanted: WantedRollout,
  bucketBy: string | undefined,
): Rollout {
  const serve = current?.default?.kind;
  const before = serve?.case === "rollout" ? serve.value : undefined;
  const shares = inOrder(toShares(flag, wanted), before?.shares ?? []);
  const rollout = create(RolloutSchema, {
    shares: shares.map((share) => create(ShareSchema, share)),
    bucketBy: bucketBy ?? before?.bucketBy ?? "",
  });
  if (before?.salt !== undefined) rollout.salt = before.salt;
  if (before !== undefined) rollout.algorithm = before.algorithm;
  return rollout;
}

function toShares(flag: Flag, wanted: WantedRollout): readonly WantedShare[] {
  if (wanted.kind === "percent") return toBooleanShares(flag, wanted.weight);
  const unknown = wanted.shares.filter(({ variant }) => !Object.hasOwn(flag.variants, variant));
  if (unknown.length > 0) {
    const names = unknown.map(({ variant }) => JSON.stringify(variant)).join(", ");
    throw usageFailure(`${flag.key} has no variant ${names}; it has ${variantNames(flag).join(", ")}`);
  }
  return wanted.shares;
}

function toBooleanShares(flag: Flag, weight: number): readonly WantedShare[] {
  const on = variantsOf(flag, true);
  const off = variantsOf(flag, false);
  const [onVariant, offVariant] = [on[0], off[0]];
  if (onVariant === undefined || offVariant === undefined || on.length > 1 || off.length > 1) {
    throw usageFailure(
      `a percentage needs a boolean flag with one variant that is true and one that is false; say who gets what: flagwire rollout ${flag.key} ${example(flag)}`,
    );
  }
  return [
    { variant: onVariant, weight },
    { variant: offVariant, weight: totalWeight - weight },
  ];
}

function variantsOf(flag: Flag, value: boolean): readonly string[] {
  return variantNames(flag).filter((name) => {
    const kind = flag.variants[name]?.kind;
    return kind?.case === "boolValue" && kind.value === value;
  });
}

function variantNames(flag: Flag): readonly string[] {
  return Object.keys(flag.variants).sort();
}

/** Such as `v=30,w=70`, with names that the flag has. */
function example(flag: Flag): string {
  const [first, second] = variantNames(flag);
  if (first === undefined) return "v=30,w=70";
  return second === undefined ? `${first}=100` : `${first}=30,${second}=70`;
}

/** Shares that were there keep their places; new ones come after them. */
function inOrder(shares: readonly WantedShare[], before: readonly Share[]): readonly WantedShare[] {
  const place = ({ variant }: WantedShare) => {
    const index = before.findIndex((share) => share.variant === variant);
    return index < 0 ? before.length : index;
  };
  return [...shares].sort((a, b) => place(a) - place(b));
}
