import type { Context } from "../engine/index.js";
import { contractLimits } from "./limits.js";
import { asciiText, TextCache } from "./text-cache.js";

/** What an EvaluateRequest asks, without its message. */
export interface EncodedQuestion {
  readonly environment: string;
  readonly flagKey: string;
  readonly context: Context;
}

/**
 * Reads the question from an EvaluateRequest's bytes, where they are as any client writes them. Undefined for all that is not
 * plain: other fields, a field that comes twice, a value of no kind, malformed text, whatever
 * `toContext` would refuse. The caller decodes that as a message, which knows what it means or what is wrong with it; so this needs to agree
 * with it on what it does read, and on nothing else. About four times as fast.
 */
export function decodeQuestion(bytes: Uint8Array): EncodedQuestion | undefined {
  return new QuestionReader(bytes).readQuestion();
}

// The numbers of fields with their wire types, as they are on the wire: all of one byte.
const LENGTH_DELIMITED = 2;
const field = (number: number, wireType: number): number => number * 8 + wireType;
const ENVIRONMENT = field(1, LENGTH_DELIMITED);
const FLAG_KEY = field(2, LENGTH_DELIMITED);
const CONTEXT = field(3, LENGTH_DELIMITED);
const TARGETING_KEY = field(1, LENGTH_DELIMITED);
const ATTRIBUTES = field(2, LENGTH_DELIMITED);
/** Of a Struct: an entry of its map; of a ListValue: a value. */
const ENTRY = field(1, LENGTH_DELIMITED);
const ENTRY_KEY = field(1, LENGTH_DELIMITED);
const ENTRY_VALUE = field(2, LENGTH_DELIMITED);
const NULL_VALUE = field(1, 0);
const NUMBER_VALUE = field(2, 1);
const STRING_VALUE = field(3, LENGTH_DELIMITED);
const BOOL_VALUE = field(4, 0);
const STRUCT_VALUE = field(5, LENGTH_DELIMITED);
const LIST_VALUE = field(6, LENGTH_DELIMITED);

/** About where a decoder begins to pay. */
const SHORT_TEXT_BYTES = 24;

const names = new TextCache();
const NO_CONTEXT: Context = Object.freeze({});
type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Reads forward. What it does not take it marks as not plain, and what it gives back then is of no use. */
class QuestionReader {
  readonly #bytes: Buffer;
  #at = 0;
  #isPlain = true;

  constructor(bytes: Uint8Array) {
    const { buffer, byteOffset, byteLength } = bytes;
    this.#bytes = bytes instanceof Buffer ? bytes : Buffer.from(buffer, byteOffset, byteLength);
  }

  readQuestion(): EncodedQuestion | undefined {
    let environment: string | undefined;
    let flagKey: string | undefined;
    let context: Context | undefined;
    const end = this.#bytes.byteLength;
    while (this.#at < end && this.#isPlain) {
      const tag = this.#bytes[this.#at++];
      if (tag === FLAG_KEY && flagKey === undefined) flagKey = this.#name(end);
      else if (tag === CONTEXT && context === undefined) context = this.#context(this.#end(end));
      else if (tag === ENVIRONMENT && environment === undefined) environment = this.#name(end);
      else return undefined;
    }
    if (!this.#isPlain) return undefined;
    return { environment: environment ?? "", flagKey: flagKey ?? "", context: context ?? NO_CONTEXT };
  }

  #context(end: number): Context {
    let targetingKey: string | undefined;
    let attributes: { [key: string]: Json } | undefined;
    while (this.#at < end && this.#isPlain) {
      const tag = this.#bytes[this.#at++];
      if (tag === TARGETING_KEY && targetingKey === undefined) targetingKey = this.#text(end);
      else if (tag === ATTRIBUTES && attributes === undefined) {
        attributes = this.#struct(this.#end(end), contractLimits.contextDepth - 1);
      } else this.#isPlain = false;
    }
    const context = attributes ?? {};
    if (targetingKey !== undefined && targetingKey !== "") context.targetingKey = targetingKey;
    return context;
  }

  /** The members of an object, whose values may have so many levels. */
  #struct(end: number, levels: number): { [key: string]: Json } {
    const object: { [key: string]: Json } = {};
    while (this.#at < end && this.#isPlain) {
      if (this.#bytes[this.#at++] !== ENTRY) this.#isPlain = false;
      else this.#entry(object, this.#end(end), levels);
    }
    return object;
  }

  /** A key, then its value, as everybody writes them. */
  #entry(object: { [key: string]: Json }, end: number, levels: number): void {
    const hasKey = this.#bytes[this.#at++] === ENTRY_KEY;
    const key = hasKey ? this.#name(end) : "";
    const hasValue = this.#at < end && this.#bytes[this.#at++] === ENTRY_VALUE;
    const value = hasValue ? this.#value(this.#end(end), levels) : null;
    if (!hasKey || !hasValue || this.#at !== end || key === "__proto__") this.#isPlain = false;
    else object[key] = value;
  }

  /** Exactly one of a value's kinds. */
  #value(end: number, levels: number): Json {
    const tag = this.#at < end ? this.#bytes[this.#at++] : undefined;
    const value = this.#kind(tag, end, levels);
    if (this.#at !== end) this.#isPlain = false;
    return value;
  }

  #kind(tag: number | undefined, end: number, levels: number): Json {
    switch (tag) {
      case STRING_VALUE:
        return this.#text(end);
      case NUMBER_VALUE:
        return this.#number(end);
      case BOOL_VALUE:
        return this.#bit() === 1;
      case NULL_VALUE:
        this.#bit();
        return null;
      case STRUCT_VALUE:
        if (levels > 0) return this.#struct(this.#end(end), levels - 1);
        break;
      case LIST_VALUE:
        if (levels > 0) return this.#list(this.#end(end), levels - 1);
        break;
    }
    this.#isPlain = false;
    return null;
  }

  #list(end: number, levels: number): Json[] {
    const list: Json[] = [];
    // All strings of a list together are limited: its bytes are at least as many.
    if (end - this.#at > contractLimits.contextTextLength) this.#isPlain = false;
    while (this.#at < end && this.#isPlain) {
      if (this.#bytes[this.#at++] !== ENTRY || list.length === contractLimits.contextListElements)
        this.#isPlain = false;
      else list.push(this.#value(this.#end(end), levels));
    }
    return list;
  }

  /** 0 or 1 as a varint of one byte. */
  #bit(): number {
    const bit = this.#bytes[this.#at++];
    if (bit !== 0 && bit !== 1) this.#isPlain = false;
    return bit ?? 0;
  }

  #number(end: number): number {
    if (this.#at + 8 > end) {
      this.#isPlain = false;
      return 0;
    }
    const number = this.#bytes.readDoubleLE(this.#at);
    this.#at += 8;
    return number;
  }

  /** A text that other requests hold too. */
  #name(limit: number): string {
    const lengthAt = this.#at;
    const end = this.#end(limit);
    const name = this.#isPlain ? names.read(this.#bytes, this.#at, end) : "";
    if (name === undefined) {
      this.#at = lengthAt;
      return this.#text(limit);
    }
    this.#at = end;
    return name;
  }

  #text(limit: number): string {
    const end = this.#end(limit);
    const start = this.#at;
    if (!this.#isPlain || end - start > contractLimits.contextTextLength) {
      this.#isPlain = false;
      return "";
    }
    this.#at = end;
    const isShort = end - start <= SHORT_TEXT_BYTES;
    return isShort && isAscii(this.#bytes, start, end) ? asciiText(this.#bytes, start, end) : this.#decode(start, end);
  }

  #decode(start: number, end: number): string {
    const text = this.#bytes.toString("utf8", start, end);
    // What is malformed becomes this character, which may also be meant.
    if (text.includes("\ufffd")) this.#isPlain = false;
    return text;
  }

  /** Reads a length, and gives the place where what is so long ends. */
  #end(limit: number): number {
    let length = this.#bytes[this.#at++] ?? 0;
    if (length >= 0x80) {
      const next = this.#bytes[this.#at++] ?? 0x80;
      const last = next < 0x80 ? 0 : (this.#bytes[this.#at++] ?? 0x80);
      // Two million are enough.
      if (last >= 0x80) this.#isPlain = false;
      length = (length & 0x7f) + (next & 0x7f) * 0x80 + last * 0x4000;
    }
    const end = this.#at + length;
    if (end <= limit) return end;
    this.#isPlain = false;
    return limit;
  }
}

function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if ((bytes[at] ?? 0x80) >= 0x80) return false;
  return true;
}
