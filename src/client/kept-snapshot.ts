import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { UpdateKind, type WatchResponse, WatchResponseSchema } from "../../gen/flagwire/v1/watch_pb.js";
import { emptySnapshot, type Snapshot } from "../engine/index.js";

/** A snapshot in binary form: the full update that would bring it. */
export function toKept(snapshot: Snapshot): Uint8Array {
  const update = create(WatchResponseSchema, {
    begin: { kind: UpdateKind.FULL },
    items: snapshot.items(),
    commit: { position: snapshot.position, digest: snapshot.digest },
  });
  return toBinary(WatchResponseSchema, update);
}

/** The inverse of `toKept`. Throws for anything else. */
export function fromKept(bytes: Uint8Array, environment: string): Snapshot {
  const { begin, items, commit }: WatchResponse = fromBinary(WatchResponseSchema, bytes);
  if (begin?.kind !== UpdateKind.FULL || commit?.position === undefined) throw new Error("it holds no full update");
  const snapshot = emptySnapshot(environment).apply("full", items, commit.position);
  if (snapshot.digest !== commit.digest) throw new Error("its content does not match its digest");
  return snapshot;
}
