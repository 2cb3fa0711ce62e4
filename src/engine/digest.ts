import type { Segment } from "../../gen/flagwire/v1/segment_pb.js";
import type { FlagState } from "../../gen/flagwire/v1/watch_pb.js";
import { murmur3 } from "./murmur3.js";

/** The checksum of a snapshot, built up item by item in any order. See UpdateCommit.digest. */
export class Digest {
  #high: number;
  #low: number;

  constructor(from?: Digest) {
    this.#high = from === undefined ? 0 : from.#high;
    this.#low = from === undefined ? 0 : from.#low;
  }

  addFlag(key: string, state: FlagState): void {
    this.#change(flagText(key, state), 1);
  }

  removeFlag(key: string, state: FlagState): void {
    this.#change(flagText(key, state), -1);
  }

  addSegment(key: string, segment: Segment): void {
    this.#change(segmentText(key, segment), 1);
  }

  removeSegment(key: string, segment: Segment): void {
    this.#change(segmentText(key, segment), -1);
  }

  toString(): string {
    return hex(this.#high) + hex(this.#low);
  }

  #change(text: string, sign: 1 | -1): void {
    this.#high = (this.#high + sign * murmur3(text, 0)) >>> 0;
    this.#low = (this.#low + sign * murmur3(text, 1)) >>> 0;
  }
}

function flagText(key: string, state: FlagState): string {
  return `flag\n${key}\n${state.flag?.revision ?? 0n}\n${state.targeting?.revision ?? 0n}`;
}

function segmentText(key: string, segment: Segment): string {
  const { revision, includedCount, excludedCount } = segment;
  // With a part of its keys lost, it would otherwise look complete.
  const keyCount = includedCount + excludedCount === 0 ? 0 : segment.included.length + segment.excluded.length;
  return `segment\n${key}\n${revision}\n${keyCount}`;
}

function hex(half: number): string {
  return half.toString(16).padStart(8, "0");
}
