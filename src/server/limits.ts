/** Limits of the contract: each stands in the comments of the proto, and is answered by name. */
export const contractLimits = {
  variants: 256,
  tags: 64,
  metadataEntries: 64,
  prerequisites: 32,
  targets: 256,
  targetKeys: 100_000,
  rules: 256,
  matchValues: 100_000,
  shares: 256,
  segmentKeys: 1_000_000,
  conditionNodes: 4_096,
  contextDepth: 32,
  bulkKeys: 10_000,
  pageSize: 1_000,
  /** Bytes of a message of ours: well under the 4 MiB that gRPC clients take. */
  messageBytes: 1_048_576,
  flags: 100_000,
} as const;
