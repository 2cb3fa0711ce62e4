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
  rampSteps: 50,
  segmentKeys: 1_000_000,
  conditionNodes: 4_096,
  contextDepth: 32,
  /** Elements of a list in a context: each costs as many comparisons as a flag has values for it. */
  contextListElements: 1_000,
  /** Characters, in UTF-16 code units, of a string in a context, and of all strings of a list together. */
  contextTextLength: 65_536,
  privateAttributes: 256,
  attributeLength: 256,
  bulkKeys: 10_000,
  /** Bytes of the answers of one BulkEvaluate, in protobuf. */
  bulkBytes: 16_777_216,
  pageSize: 1_000,
  tokens: 1_000,
  tokenEnvironments: 64,
  /** Bytes of a message of ours: well under the 4 MiB that gRPC clients take. */
  messageBytes: 1_048_576,
  /** Of one flag without its settings; with them it still fits into a message. */
  flagBytes: 1_572_864,
  targetingBytes: 2_097_152,
  segmentBytes: 33_554_432,
  /** Of a segment without its keys: what is left has to fit into a message. */
  segmentRestBytes: 3_145_728,
  /** Characters, in UTF-16 code units, of a key: no context has a longer one. */
  segmentKeyLength: 65_536,
  /** Of a segment that an answer about it alone shows with its keys. */
  wholeSegmentBytes: 3_145_728,
  /** Of one that an answer about many things shows with its keys. */
  listedSegmentBytes: 262_144,
  /** Flags of one file. Storing and following a transaction is one piece of work, in which nobody else is answered. */
  flags: 50_000,
  /** Flags, targetings, segments and environments of one file. */
  fileItems: 200_000,
} as const;
