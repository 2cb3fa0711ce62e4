import { create } from "@bufbuild/protobuf";
import { FlagStateSchema, PositionSchema, type WatchItem, WatchItemSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { systemClock, systemRandom } from "../../src/base/index.js";
import { createWatchHub, type Publication } from "../../src/watch/index.js";

/** What the fan-out did for some changes. */
export interface Encodings {
  readonly changes: number;
  readonly watchers: number;
  /** Messages that watchers were handed. */
  readonly handed: number;
  /** Messages put together as bytes, and flags encoded for them. */
  readonly messages: number;
  readonly items: number;
}

const environment = "production";
const changes = 20;

/** The service does not tell how often it encodes, so this asks its fan-out, without a network. */
export async function countEncodings(watchers: number): Promise<Encodings> {
  const hub = createWatchHub({ clock: systemClock, random: systemRandom });
  const stops = Array.from({ length: watchers }, () => new AbortController());
  hub.reset(environment, toPublication(1));
  const streams = stops.map(({ signal }) => hub.watch({ environment }, signal)[Symbol.asyncIterator]());
  const takeAll = async (): Promise<void> => {
    await Promise.all(
      streams.map(async (stream) => {
        const { value } = await stream.next();
        if (value === undefined || value.bytes.byteLength === 0) throw new Error("a watcher was handed nothing");
      }),
    );
  };
  try {
    await takeAll();
    const before = hub.counts();
    for (let change = 0; change < changes; change++) {
      const taken = takeAll();
      hub.publish(environment, toPublication(2 + change));
      await taken;
    }
    const after = hub.counts();
    return {
      changes,
      watchers,
      handed: after.frames - before.frames,
      messages: after.frameEncodings - before.frameEncodings,
      items: after.itemEncodings - before.itemEncodings,
    };
  } finally {
    for (const stop of stops) stop.abort();
  }
}

function toPublication(revision: number): Publication {
  const position = create(PositionSchema, { epoch: "epoch", revision: BigInt(revision) });
  return { position, digest: revision.toString(16).padStart(16, "0"), items: [toItem(revision)] };
}

function toItem(revision: number): WatchItem {
  const value = create(FlagStateSchema, { flag: { key: "switch", revision: BigInt(revision) } });
  return create(WatchItemSchema, { kind: { case: "flag", value } });
}
