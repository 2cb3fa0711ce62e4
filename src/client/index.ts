export type { Clock, Random, StopTimer } from "../base/index.js";
export type { Context, ErrorCode, ExplainOptions, JsonValue, Reason } from "../engine/index.js";
export type { MirrorCache } from "./cache.js";
export type { TlsOptions } from "./connect-socket.js";
export { describeTrace } from "./describe-trace.js";
export type { EvaluationDetails, Explanation } from "./details.js";
export { type GrpcTransportOptions, openGrpcTransport } from "./grpc-transport.js";
export type { Unsubscribe } from "./listeners.js";
export type { Flags, Mirror, MirrorCounts, MirrorEvents, MirrorStatus, PinnedFlags } from "./mirror-api.js";
export { MirrorError, type MirrorErrorKind } from "./mirror-error.js";
export type { MirrorLogEntry, MirrorTimes } from "./mirror-options.js";
export { type MirrorOptions, openMirror } from "./open-mirror.js";
export { openRemote, type Remote, type RemoteOptions } from "./remote.js";
export type { WaitOptions } from "./revision-waits.js";
export { type MirrorTransport, type RemoteTransport, type TransportCode, TransportError } from "./transport.js";
export type { FlagUsage } from "./usage.js";

// For hosts that hold a snapshot of their own, as flagwire/testing does: parts of a mirror. They may change in any release.

export { bootstrapSnapshot } from "./bootstrap.js";
export { Follower, type SnapshotSource } from "./follower.js";
export { Listeners } from "./listeners.js";
export { RevisionWaits, toRevision } from "./revision-waits.js";
export { SnapshotFlags } from "./snapshot-flags.js";
export { stayAlive } from "./stay-alive.js";
