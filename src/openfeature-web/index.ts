export type { WebStorage } from "./value-cache.js";
export { FlagwireWebProvider } from "./web-provider.js";
export type { FollowMode, WebClock, WebProviderOptions, WebProviderTimes } from "./web-provider-options.js";
