export { createTestFlags, type TestFlagsOptions } from "./create-test-flags.js";
export type { SetOptions } from "./flag-state.js";
export {
  type CombinationRun,
  forEachCombination,
  forEachVariant,
  type RegisterTest,
  type RunBody,
  type VariantRun,
} from "./for-each-variant.js";
export type { TestFlagsSource, TestValues } from "./read-definitions.js";
export type { FlagdFileJson, FlagFileJson, FlagFileSource } from "./read-flag-file.js";
export { startTestServer } from "./start-test-server.js";
export type { KillOptions, Outage, OutageOptions, Override, TestFlags } from "./test-flags.js";
export type { InEnvironment, TestServer, TestServerOptions, TokenOptions, TokenRole } from "./test-server.js";
export { type TestValue, type VariantName, type VariantValues, variant, variants } from "./test-value.js";
