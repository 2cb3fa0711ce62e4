export { SHARES_WARNING } from "./common-warnings.js";
export type { Finding } from "./findings.js";
export type { FlagSource } from "./flag-source.js";
export type { FlagdImport, FlagdImportOptions, UnreadableFlagdFile } from "./from-flagd-file.js";
export { fromFlagdFile, isFlagdFile } from "./from-flagd-file.js";
export type { FlagdExport } from "./to-flagd-file.js";
export { toFlagdFile } from "./to-flagd-file.js";
export type { FlagdFlag } from "./to-flagd-flag.js";
export { toFlagdFlag } from "./to-flagd-flag.js";
