import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument } from "yaml";
import { usageFailure } from "../failure.js";
import type { SettingShape } from "./setting-shape.js";

/** Settings that stand in a file. */
export interface ConfigFile {
  readonly name: string;
  /** By the names of the settings. */
  readonly entries: ReadonlyMap<string, ConfigEntry>;
}

export interface ConfigEntry {
  /** As the option would be given. */
  readonly text: string;
  /** The file and the line. */
  readonly place: string;
}

const example = 'such as "listen: 127.0.0.1:8013"';

/**
 * Reads settings in YAML or JSON: one mapping, with the options' names as its keys. What is unknown, or of a type that the
 * setting cannot have, is refused with its line, all of it at once; what a value means is for those who use it.
 */
export function parseConfigFile(content: string, name: string, shapes: readonly SettingShape[]): ConfigFile {
  const lines = new LineCounter();
  const document = parseDocument(content, { version: "1.2", schema: "core", lineCounter: lines, prettyErrors: false });
  const placeOf = (offset: number) => `${name}:${lines.linePos(offset).line}`;
  if (document.errors.length > 0) {
    const details = document.errors.slice(0, 5).map(({ pos, message }) => `${placeOf(pos[0])}: ${message}`);
    throw usageFailure(`${name} is neither YAML nor JSON`, details);
  }
  const { contents } = document;
  const entries = new Map<string, ConfigEntry>();
  if (contents === null || (isScalar(contents) && contents.value === null)) return { name, entries };
  if (!isMap(contents)) throw usageFailure(`${name} is no mapping of settings, ${example}`);
  const problems: string[] = [];
  for (const pair of contents.items as Pair<Node, Node | null>[]) {
    const key = isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
    const place = placeOf(pair.key.range?.[0] ?? 0);
    const shape = shapes.find(({ name }) => name === key);
    const text = shape === undefined ? { problem: unknownKey(key, shapes) } : textOf(pair.value, shape);
    if (typeof text === "string") entries.set(key, { text, place });
    else problems.push(`${place}: ${key} ${text.problem}`);
  }
  if (problems.length === 0) return { name, entries };
  throw usageFailure(`${name} has settings that cannot be`, problems);
}

interface Problem {
  readonly problem: string;
}

function unknownKey(key: string, shapes: readonly SettingShape[]): string {
  const plain = (name: string) => name.toLowerCase().replaceAll(/[^a-z0-9]/g, "");
  const meant = shapes.find(({ name }) => plain(name) === plain(key));
  if (meant !== undefined) return `is no setting; write ${meant.name}`;
  return `is no setting; there are ${shapes.map(({ name }) => name).join(", ")}`;
}

function textOf(value: Node | null, shape: SettingShape): string | Problem {
  if (isScalar(value)) return scalarText(value, shape);
  if (!isSeq(value)) return { problem: `is ${nameOf(value)}; ${expected(shape)}` };
  if (!shape.isList) return { problem: `is a list; ${expected(shape)}` };
  const texts: string[] = [];
  for (const item of value.items as (Node | null)[]) {
    const text = isScalar(item) ? scalarText(item, { ...shape, kind: "value" }) : undefined;
    if (typeof text !== "string") return { problem: "is a list of other things than texts and numbers" };
    texts.push(text);
  }
  return texts.length > 0 ? texts.join(",") : { problem: `is an empty list; leave it out, or ${expected(shape)}` };
}

function nameOf(value: Node | null): string {
  if (value === null) return "empty";
  return isAlias(value) ? "an alias" : "a mapping";
}

/** A number is taken as it is written: what is not one for the setting is for its own complaint. */
function scalarText(
  { value, source }: { readonly value: unknown; readonly source?: string | undefined },
  shape: SettingShape,
): string | Problem {
  if (typeof value === "boolean") {
    return shape.kind === "value" ? { problem: `is ${value}; ${expected(shape)}` } : String(value);
  }
  if (shape.kind === "switch") return { problem: `is not true or false` };
  if (typeof value === "string" && value !== "") return value;
  if (typeof value === "number") return source ?? String(value);
  return { problem: `is empty; leave it out, or ${expected(shape)}` };
}

function expected({ kind, isList }: SettingShape): string {
  if (kind === "switch") return "give true or false";
  const value = isList ? "a text or a list" : "a text or a number";
  return kind === "either" ? `give true, false or ${value}` : `give ${value}`;
}
