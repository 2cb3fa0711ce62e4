import { create } from "@bufbuild/protobuf";
import { type FlagFile, FlagFileSchema } from "../../../gen/flagwire/v1/history_pb.js";
import type { Segment, SegmentKeys } from "../../../gen/flagwire/v1/segment_pb.js";
import { invalidArgument } from "../environment.js";
import type { Refusal } from "../refusal.js";

/** A file that comes in parts, put together. */
export class IncomingFile {
  /** Without `segment_keys`: those are in the segments. */
  readonly file: FlagFile = create(FlagFileSchema);
  readonly #segments = new Map<string, Segment>();
  #itemCount = 0;

  /** `environment` is that of segments that name none. */
  constructor(readonly environment: string) {}

  /** How many items have come, as ImportRequest.item_count counts them. */
  get itemCount(): number {
    return this.#itemCount;
  }

  /**
   * Adds a part, whose items are the file's from then on. Refuses keys of a segment that was not before them. One by one: a
   * call takes only so many arguments.
   */
  append(part: FlagFile | undefined): Refusal | undefined {
    if (part === undefined) return undefined;
    this.#itemCount += countItems(part);
    for (const flag of part.flags) this.file.flags.push(flag);
    for (const targeting of part.targetings) this.file.targetings.push(targeting);
    for (const environment of part.environments) this.file.environments.push(environment);
    for (const segment of part.segments) {
      this.file.segments.push(segment);
      this.#segments.set(this.#nameOf(segment.environment, segment.key), segment);
    }
    for (const [index, keys] of part.segmentKeys.entries()) {
      const misplaced = this.#appendKeys(keys, index);
      if (misplaced !== undefined) return misplaced;
    }
    return undefined;
  }

  #appendKeys({ segmentKey, environment, included, excluded }: SegmentKeys, index: number): Refusal | undefined {
    const segment = this.#segments.get(this.#nameOf(environment, segmentKey));
    if (segment === undefined) {
      const where = environment || this.environment;
      const description = `there is no segment ${JSON.stringify(segmentKey)} of ${where} in the file before these keys`;
      return invalidArgument([{ field: `file.segment_keys[${index}].segment_key`, description }]);
    }
    for (const key of included) segment.included.push(key);
    for (const key of excluded) segment.excluded.push(key);
    return undefined;
  }

  #nameOf(environment: string, key: string): string {
    return `${environment || this.environment}/${key}`;
  }
}

/** How many items a part of a file has. */
export function countItems(part: FlagFile | undefined): number {
  if (part === undefined) return 0;
  const { flags, targetings, segments, environments, segmentKeys } = part;
  return flags.length + targetings.length + segments.length + environments.length + segmentKeys.length;
}
