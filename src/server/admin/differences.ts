import { create, type DescField, type DescMessage, equals } from "@bufbuild/protobuf";
import { type ReflectList, type ReflectMap, type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import {
  type FieldDifference,
  FieldDifferenceSchema,
  type Record,
  RecordSchema,
} from "../../../gen/flagwire/v1/history_pb.js";
import type { Segment } from "../../../gen/flagwire/v1/segment_pb.js";
import { compareLists, countText } from "./list-differences.js";
import { cutText, elementText, isLeaf, messageText, valueText } from "./value-text.js";

const MAX_DIFFERENCES = 200;

/** What the server sets, not an author. Ends of paths, from the record on. */
const OUTPUT_ONLY: ReadonlySet<string> = new Set([
  "created_at",
  "created_by",
  "changed_at",
  "changed_by",
  "deleted_at",
  "deleted_by",
  "revision",
  "included_count",
  "excluded_count",
  "keys_omitted",
  "token.created_at",
  "token.created_by",
]);

/** By which field the elements of a list are named, where they are. */
const NAMES: ReadonlyMap<string, string> = new Map([
  ["flagwire.v1.Rule", "id"],
  ["flagwire.v1.Share", "variant"],
  ["flagwire.v1.Target", "variant"],
  ["flagwire.v1.Prerequisite", "flag_key"],
  ["flagwire.v1.Ramp", "rule_id"],
]);

/**
 * What is different, field by field, for people; see Change.differences. None where one of the two is not there. Segments
 * may be without their keys: then their counts are compared.
 */
export function differencesOf(before: Record | undefined, after: Record | undefined): FieldDifference[] {
  const [old, now] = [before?.kind, after?.kind];
  if (old?.case === undefined || now?.case !== old.case) return [];
  const differences = new Differences();
  const { name, message } = RecordSchema.field[old.case];
  if (message === undefined) return [];
  differences.messages(reflect(message, old.value), reflect(message, now.value), name, "");
  if (old.case === "segment" && now.case === "segment") addUncompared(differences, old.value, now.value);
  return differences.found.map((found) => create(FieldDifferenceSchema, found));
}

/** A segment that changed in nothing else has other keys, even where they are not there to be compared. */
function addUncompared(differences: Differences, old: Segment, now: Segment): void {
  const isKnown = !old.keysOmitted && !now.keysOmitted;
  if (isKnown || differences.found.length > 0 || old.revision === now.revision) return;
  const counts = [old, now].map((segment) => JSON.stringify({ count: keyCount(segment, "included"), compared: false }));
  differences.add("segment.included", counts[0] ?? "", counts[1] ?? "");
}

function keyCount(segment: Segment, list: "included" | "excluded"): number {
  return segment.keysOmitted ? segment[`${list}Count`] : segment[list].length;
}

/** Walks two messages of one type side by side. */
class Differences {
  readonly found: { readonly path: string; readonly before: string; readonly after: string }[] = [];

  add(path: string, before: string, after: string): void {
    if (this.found.length < MAX_DIFFERENCES) this.found.push({ path, before: cutText(before), after: cutText(after) });
  }

  /** `own` is the path from the record on; undefined where nothing is output only any more. */
  messages(before: ReflectMessage, after: ReflectMessage, path: string, own?: string): void {
    for (const field of before.desc.fields) {
      if (this.found.length === MAX_DIFFERENCES) return;
      const ownPath = own === undefined ? undefined : own === "" ? field.name : `${own}.${field.name}`;
      if (ownPath !== undefined && OUTPUT_ONLY.has(ownPath)) continue;
      this.#fields(field, before, after, `${path}.${field.name}`, ownPath);
    }
  }

  #fields(field: DescField, before: ReflectMessage, after: ReflectMessage, path: string, own?: string): void {
    switch (field.fieldKind) {
      case "list":
        if (this.#countKeys(field, before.message, after.message, path)) return;
        this.#lists(before.get(field), after.get(field), path);
        return;
      case "map":
        this.#maps(before.get(field), after.get(field), path);
        return;
      case "message": {
        const [one, other] = [before, after].map((side) => (side.isSet(field) ? side.get(field) : undefined));
        if (one !== undefined && other !== undefined && !isLeaf(field.message)) this.messages(one, other, path, own);
        else if (!sameMessages(field.message, one, other)) {
          this.add(path, one ? messageText(one) : "", other ? messageText(other) : "");
        }
        return;
      }
      default: {
        const isThere = (side: ReflectMessage) => isImplicit(field) || side.isSet(field);
        const [one, other] = [before, after].map((side) => (isThere(side) ? valueText(field, side.get(field)) : ""));
        if (one !== other) this.add(path, one ?? "", other ?? "");
      }
    }
  }

  /** Whether the field holds the keys of a segment, at least one side of which is without them. */
  #countKeys(field: DescField, before: object, after: object, path: string): boolean {
    if (!isSegment(before) || !isSegment(after) || (!before.keysOmitted && !after.keysOmitted)) return false;
    if (field.name !== "included" && field.name !== "excluded") return false;
    const [one, other] = [keyCount(before, field.name), keyCount(after, field.name)];
    if (one !== other) this.add(path, countText(one), countText(other));
    return true;
  }

  #lists(before: ReflectList, after: ReflectList, path: string): void {
    const field = before.field();
    const isOfMessages = field.listKind === "message" && !isLeaf(field.message);
    if (isOfMessages) {
      this.#messageLists(field.message, before as Iterable<ReflectMessage>, after as Iterable<ReflectMessage>, path);
      return;
    }
    const text = (element: unknown) => elementText(field, element);
    const compared = compareLists([...before], [...after], text);
    if (compared !== undefined) this.add(path, compared.before, compared.after);
  }

  #messageLists(
    desc: DescMessage,
    before: Iterable<ReflectMessage>,
    after: Iterable<ReflectMessage>,
    path: string,
  ): void {
    const [old, now] = nameElements(desc, [...before], [...after]);
    for (const [name, element] of old) {
      const other = now.get(name);
      if (other === undefined) this.add(`${path}[${name}]`, messageText(element), "");
      else this.messages(element, other, `${path}[${name}]`);
    }
    for (const [name, element] of now) if (!old.has(name)) this.add(`${path}[${name}]`, "", messageText(element));
    const common = [...old.keys()].filter((name) => now.has(name));
    const reordered = [...now.keys()].filter((name) => old.has(name));
    if (common.some((name, place) => name !== reordered[place])) {
      this.add(path, JSON.stringify(common), JSON.stringify(reordered));
    }
  }

  #maps(before: ReflectMap, after: ReflectMap, path: string): void {
    const text = (map: ReflectMap, key: unknown) => (map.has(key) ? elementText(map.field(), map.get(key)) : "");
    for (const key of new Set([...before.keys(), ...after.keys()])) {
      const [one, other] = [text(before, key), text(after, key)];
      if (one !== other) this.add(`${path}[${nameText(String(key))}]`, one, other);
    }
  }
}

/** The elements of two lists by their names; by their places where they have no names, or one stands there twice. */
function nameElements(
  desc: DescMessage,
  ...lists: readonly [ReflectMessage[], ReflectMessage[]]
): [Map<string, ReflectMessage>, Map<string, ReflectMessage>] {
  const field = desc.fields.find(({ name }) => name === NAMES.get(desc.typeName));
  const byName = (list: ReflectMessage[]) =>
    new Map(list.map((element) => [nameText(field ? String(element.get(field)) : ""), element]));
  const byPlace = (list: ReflectMessage[]) => new Map(list.map((element, place) => [String(place), element]));
  const [old, now] = [byName(lists[0]), byName(lists[1])];
  const isNamed = field !== undefined && old.size === lists[0].length && now.size === lists[1].length;
  return isNamed ? [old, now] : [byPlace(lists[0]), byPlace(lists[1])];
}

/** A name as it stands in a path. */
function nameText(name: string): string {
  return /^[\w.-]+$/.test(name) ? name : JSON.stringify(name);
}

function isImplicit(field: DescField): boolean {
  return field.oneof === undefined && field.presence === FeatureSet_FieldPresence.IMPLICIT;
}

function isSegment(message: object): message is Segment {
  return "$typeName" in message && message.$typeName === "flagwire.v1.Segment";
}

function sameMessages(desc: DescMessage, one: ReflectMessage | undefined, other: ReflectMessage | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return equals(desc, one.message, other.message);
}
