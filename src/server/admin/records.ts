import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { StoredToken } from "../../../gen/flagwire/v1/access_pb.js";
import type { Environment } from "../../../gen/flagwire/v1/environment_pb.js";
import type { Flag } from "../../../gen/flagwire/v1/flag_pb.js";
import { type Record, RecordSchema } from "../../../gen/flagwire/v1/history_pb.js";
import type { Segment } from "../../../gen/flagwire/v1/segment_pb.js";
import type { Targeting } from "../../../gen/flagwire/v1/targeting_pb.js";
import {
  environmentId,
  flagId,
  type RecordChange,
  reservedKeyId,
  segmentId,
  targetingId,
  tokenId,
} from "../../store/index.js";

export function putFlag(value: Flag): RecordChange {
  return { id: flagId(value.key), after: record({ case: "flag", value }) };
}

export function putTargeting(value: Targeting): RecordChange {
  return { id: targetingId(value.environment, value.flagKey), after: record({ case: "targeting", value }) };
}

export function putSegment(value: Segment): RecordChange {
  return { id: segmentId(value.environment, value.key), after: record({ case: "segment", value }) };
}

export function putEnvironment(value: Environment): RecordChange {
  return { id: environmentId(value.name), after: record({ case: "environment", value }) };
}

export function reserveKey(key: string): RecordChange {
  return { id: reservedKeyId(key), after: record({ case: "reservedKey", value: { key } }) };
}

export function putToken(value: StoredToken): RecordChange {
  return { id: tokenId(value.token?.id ?? ""), after: record({ case: "token", value }) };
}

export function remove(id: string): RecordChange {
  return { id, after: undefined };
}

function record(kind: MessageInitShape<typeof RecordSchema>["kind"]): Record {
  return create(RecordSchema, kind ? { kind } : {});
}
