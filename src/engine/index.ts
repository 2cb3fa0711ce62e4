export type { Context } from "./context.js";
export { emptySnapshot } from "./create-snapshot.js";
export { engineLimits } from "./limits.js";
export { murmur3 } from "./murmur3.js";
export type { ErrorCode, JsonValue, Outcome, Reason } from "./outcome.js";
export type { Problem } from "./problem.js";
export { prerequisitesOf, segmentsOfCondition, segmentsOfTargeting } from "./references.js";
export type { CompiledFlag, Snapshot } from "./snapshot.js";
export { flagTypeName, fromValue } from "./value.js";
