export { FlagwireProvider, type FlagwireProviderOptions } from "./flagwire-provider.js";
export type { FollowedMirrorOptions } from "./mirror-source.js";
