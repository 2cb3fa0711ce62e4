export { checkHistory } from "./check-history.js";
export { type CheckLimits, PROMISED_LIMITS } from "./check-limits.js";
export { CommitLog, type EpochLog, type LoggedCommit, type LoggedEpoch } from "./commit-log.js";
export type * from "./history.js";
export { toMessageRecord, toPositionRecord } from "./to-records.js";
export { type Property, tellViolation, type Violation } from "./violation.js";
