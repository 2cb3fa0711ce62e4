import {
  create,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type MessageShape,
} from "@bufbuild/protobuf";
import { EnvironmentSchema } from "../../../gen/flagwire/v1/environment_pb.js";
import { FlagSchema } from "../../../gen/flagwire/v1/flag_pb.js";
import { type FlagFile, FlagFileSchema } from "../../../gen/flagwire/v1/history_pb.js";
import { type Segment, SegmentKeysSchema, SegmentSchema } from "../../../gen/flagwire/v1/segment_pb.js";
import { TargetingSchema } from "../../../gen/flagwire/v1/targeting_pb.js";
import { expandEnumNames, isJsonObject, type JsonProblem } from "../../base/index.js";
import { usageFailure } from "../failure.js";

/** An item of a file that cannot be imported. */
export interface RefusedFileItem {
  /** The flag's or segment's key; empty where it has none. */
  readonly key: string;
  /** The place in the file. */
  readonly field: string;
  readonly description: string;
}

export interface DecodedFlagFile {
  /** What could be read. A flag of which anything is refused is left out with all its targetings. */
  readonly file: FlagFile;
  readonly refused: readonly RefusedFileItem[];
}

/** Decodes a native file: `FlagFile` in protobuf's JSON form, enum values also by their short names. */
export function decodeFlagFile(json: unknown, name: string): DecodedFlagFile {
  if (!isJsonObject(json)) throw notAFlagFile(name);
  const unknown = Object.keys(json).filter((key) => !Object.hasOwn(FlagFileSchema.field, key));
  if (unknown.length > 0) throw notAFlagFile(name, unknown);
  const refused: RefusedFileItem[] = [];
  const decode = <Desc extends DescMessage>(list: string, desc: Desc, keyField: string) =>
    decodeList(json, list, desc, keyField, name, refused);
  const flags = decode("flags", FlagSchema, "key");
  const targetings = decode("targetings", TargetingSchema, "flagKey");
  const segments = decode("segments", SegmentSchema, "key");
  const environments = decode("environments", EnvironmentSchema, "name");
  addSegmentKeys(segments, decode("segmentKeys", SegmentKeysSchema, "segmentKey"), refused);
  const flagsRefused = new Set(
    refused.filter(({ field }) => /^(flags|targetings)\[/.test(field)).map(({ key }) => key),
  );
  const file = create(FlagFileSchema, {
    flags: flags.filter(({ key }) => !flagsRefused.has(key)),
    targetings: targetings.filter(({ flagKey }) => !flagsRefused.has(flagKey)),
    segments,
    environments,
  });
  return { file, refused };
}

/** What stands apart in parts of a file belongs to its segments again. */
function addSegmentKeys(
  segments: readonly Segment[],
  parts: readonly MessageShape<typeof SegmentKeysSchema>[],
  refused: RefusedFileItem[],
): void {
  const named = new Map(segments.map((segment) => [`${segment.environment}/${segment.key}`, segment]));
  for (const { segmentKey: key, environment, included, excluded } of parts) {
    const segment = named.get(`${environment}/${key}`);
    if (segment === undefined) {
      const description = "there is no segment of this key and environment in the file";
      refused.push({ key, field: "segmentKeys", description });
    }
    for (const one of included) segment?.included.push(one);
    for (const one of excluded) segment?.excluded.push(one);
  }
}

function decodeList<Desc extends DescMessage>(
  json: JsonObject,
  list: string,
  desc: Desc,
  keyField: string,
  name: string,
  refused: RefusedFileItem[],
): MessageShape<Desc>[] {
  const items = json[list] ?? [];
  if (!Array.isArray(items)) throw usageFailure(`${name}: ${list} is not a list; each item starts with "- " in YAML`);
  const decoded: MessageShape<Desc>[] = [];
  for (const [index, item] of items.entries()) {
    const place = `${list}[${index}]`;
    const problems: JsonProblem[] = [];
    const message = decodeItem(desc, item, place, problems);
    if (message !== undefined) decoded.push(message);
    const key = keyOf(item, keyField);
    for (const problem of problems) refused.push({ key, field: problem.place, description: problem.description });
  }
  return decoded;
}

function decodeItem<Desc extends DescMessage>(
  desc: Desc,
  item: JsonValue,
  place: string,
  problems: JsonProblem[],
): MessageShape<Desc> | undefined {
  const expanded = expandEnumNames(desc, item, place, problems);
  if (problems.length > 0) return undefined;
  try {
    return fromJson(desc, expanded, { ignoreUnknownFields: false });
  } catch (error) {
    const description = (error as Error).message.replaceAll("flagwire.v1.", "");
    problems.push({ place, description });
    return undefined;
  }
}

/** A key may be written by its JSON name or by its name in the proto. */
function keyOf(item: JsonValue, keyField: string): string {
  if (!isJsonObject(item)) return "";
  const key = item[keyField] ?? item[keyField === "flagKey" ? "flag_key" : keyField];
  return typeof key === "string" ? key : "";
}

function notAFlagFile(name: string, unknown: readonly string[] = []) {
  const found = unknown.length > 0 ? ` (it has ${unknown.map((key) => JSON.stringify(key)).join(", ")})` : "";
  return usageFailure(
    `${name} is no flag file${found}: a native file has lists named flags, targetings, segments and environments; flagd's has an object named flags`,
  );
}
