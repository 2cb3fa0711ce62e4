import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { invalidArgument } from "../environment.js";
import { contractLimits } from "../limits.js";
import type { OrRefusal } from "../refusal.js";

/** How many items an answer may hold. */
export function pageSizeOf(asked: number, defaultSize: number): OrRefusal<number> {
  if (asked <= contractLimits.pageSize) return asked === 0 ? defaultSize : asked;
  const description = `is ${asked}; ${contractLimits.pageSize} is the limit`;
  return invalidArgument([{ field: "page_size", description }]);
}

/** Counts the bytes that an answer has room for; the first item always fits. */
export class ByteBudget {
  #left: number;
  #empty = true;

  constructor(bytes: number = contractLimits.messageBytes) {
    this.#left = bytes;
  }

  /** Whether the items, taken together, still fit; if so, they are counted. */
  take<D extends DescMessage>(schema: D, ...items: readonly MessageShape<D>[]): boolean {
    let size = 0;
    // Tag and length of a field take at most ten bytes.
    for (const item of items) size += toBinary(schema, item).length + 10;
    if (size > this.#left && !this.#empty) return false;
    this.#left -= size;
    this.#empty = false;
    return true;
  }
}
