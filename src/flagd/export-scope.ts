import type { JsonValue } from "@bufbuild/protobuf";
import type { Segment } from "../../gen/flagwire/v1/segment_pb.js";
import type { Findings } from "./findings.js";
import { quote } from "./json.js";
import type { Place } from "./place.js";

/** What the export of one flag knows at one place. */
export class ExportScope {
  constructor(
    readonly flagKey: string,
    readonly segments: ReadonlyMap<string, Segment>,
    readonly findings: Findings,
    /** The salt of rollouts that set none: the key of the flag, or of the segment that this is in. */
    readonly defaultSalt: string = flagKey,
    /** Attributes that are known to be text here. */
    readonly textAttributes: ReadonlySet<string> = new Set(),
    /** The segments that this is in. */
    readonly segmentKeys: ReadonlySet<string> = new Set(),
  ) {}

  inSegment(key: string): ExportScope {
    const keys = new Set([...this.segmentKeys, key]);
    return new ExportScope(this.flagKey, this.segments, this.findings, key, this.textAttributes, keys);
  }

  withText(attributes: Iterable<string>): ExportScope {
    const text = new Set([...this.textAttributes, ...attributes]);
    return new ExportScope(this.flagKey, this.segments, this.findings, this.defaultSalt, text, this.segmentKeys);
  }

  /** Leaves the flag out, and stands in for what cannot be exported. */
  leave(place: Place, description: string): JsonValue {
    this.findings.refuse(place, description);
    return false;
  }

  /** An attribute's value. flagd always reads a name as a path, and a number in it as a position in a list. */
  variable(attribute: string, place: Place): JsonValue {
    const isPlain = attribute.split(".").every((step) => step !== "" && !/^\d+$/.test(step));
    if (isPlain && !attribute.includes("\\") && !/^\$(?:flagd|now)(?:\.|$)/.test(attribute)) return { var: attribute };
    return this.leave(place, `flagd reads the attribute ${quote(attribute)} otherwise`);
  }
}
