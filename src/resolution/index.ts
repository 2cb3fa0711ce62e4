export { type ResolutionErrorCode, toResolutionErrorCode } from "./error-code.js";
export { type FlatMetadata, toFlatMetadata } from "./flat-metadata.js";
