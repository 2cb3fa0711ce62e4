import { clone, create } from "@bufbuild/protobuf";
import { type Rollout, RolloutSchema } from "../../../gen/flagwire/v1/rollout_pb.js";
import { type Ramp, type Serve, ServeSchema, type Targeting } from "../../../gen/flagwire/v1/targeting_pb.js";

/** What the weights of steps are shares of. */
export const TOTAL_WEIGHT = 100_000;

/** What a ramp is about: who grows at whose expense, and from what on. */
export type RampShares = Pick<Ramp, "variant" | "fromVariant" | "serveBefore">;

/**
 * What is served while a ramp's variant has a share. Salt, attribute, algorithm and the order of the shares are those of the
 * rollout that was there before; so one end of the share stays where it is, and nobody who has the variant loses it as it
 * grows.
 */
export function serveAt(ramp: RampShares, weight: number): Serve {
  const { variant, fromVariant } = ramp;
  if (weight === TOTAL_WEIGHT) return create(ServeSchema, { kind: { case: "variant", value: variant } });
  const before = rolloutOf(ramp.serveBefore);
  const shares = [
    { variant, weight },
    { variant: fromVariant, weight: TOTAL_WEIGHT - weight },
  ];
  if (before !== undefined && comesAfter(before, variant, fromVariant)) shares.reverse();
  const value = create(RolloutSchema, { bucketBy: before?.bucketBy ?? "", shares });
  if (before?.salt !== undefined) value.salt = before.salt;
  if (before !== undefined) value.algorithm = before.algorithm;
  return create(ServeSchema, { kind: { case: "rollout", value } });
}

export function rolloutOf(serve: Serve | undefined): Rollout | undefined {
  return serve?.kind.case === "rollout" ? serve.kind.value : undefined;
}

function comesAfter({ shares }: Rollout, variant: string, other: string): boolean {
  const place = (name: string) => {
    const served = shares.findIndex((share) => share.variant === name && share.weight > 0);
    return served >= 0 ? served : shares.findIndex((share) => share.variant === name);
  };
  return place(other) >= 0 && place(other) < place(variant);
}

/** The serve of a rule, or of the default where the id is empty. */
export function serveOf(targeting: Targeting, ruleId: string): Serve | undefined {
  return ruleId === "" ? targeting.default : targeting.rules.find(({ id }) => id === ruleId)?.serve;
}

/** Changes the targeting. */
export function setServe(targeting: Targeting, ruleId: string, serve: Serve | undefined): void {
  const place = targeting.rules.find(({ id }) => id === ruleId);
  const copy = serve && clone(ServeSchema, serve);
  if (ruleId === "") {
    if (copy === undefined) delete targeting.default;
    else targeting.default = copy;
  } else if (place !== undefined) {
    if (copy === undefined) delete place.serve;
    else place.serve = copy;
  }
}
