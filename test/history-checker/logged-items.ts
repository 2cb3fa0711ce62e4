import { create } from "@bufbuild/protobuf";
import type { Flag } from "../../gen/flagwire/v1/flag_pb.js";
import type { Record } from "../../gen/flagwire/v1/history_pb.js";
import { FlagStateSchema, WatchItemSchema } from "../../gen/flagwire/v1/watch_pb.js";
import type { LoggedItem } from "./environment-log.js";
import { flagVersion, keyedVersion, segmentVersion } from "./to-records.js";

/** Characters of keys from which on a server tells how many a segment has, each counted with two more. */
const COUNTED_LENGTH = 65_536;

/** What records mean to one environment: written down anew from the contract, without the server's code. */
export function loggedItem(
  id: string,
  environment: string,
  record: (id: string) => Record | undefined,
): LoggedItem | undefined {
  const [kind, ...rest] = id.split("/");
  const key = rest.join("/");
  return kind === "flag" ? loggedFlag(key, environment, record) : loggedSegment(key, environment, record);
}

function loggedFlag(
  key: string,
  environment: string,
  record: (id: string) => Record | undefined,
): LoggedItem | undefined {
  const flag = record(`flag/${key}`)?.kind;
  if (flag?.case !== "flag") return undefined;
  const found = record(`targeting/${environment}/${key}`)?.kind;
  const targeting = found?.case === "targeting" ? found.value : undefined;
  const shown: Flag = { ...flag.value, description: "", owner: "", tags: [], ticket: "", createdBy: "", changedBy: "" };
  delete shown.createdAt;
  delete shown.changedAt;
  const state = create(FlagStateSchema, { flag: shown, ...(targeting && { targeting }) });
  return {
    version: flagVersion(state),
    digestText: `flag\n${key}\n${flag.value.revision}\n${targeting?.revision ?? 0n}`,
    item: create(WatchItemSchema, { kind: { case: "flag", value: state } }),
  };
}

function loggedSegment(
  key: string,
  environment: string,
  record: (id: string) => Record | undefined,
): LoggedItem | undefined {
  const found = record(`segment/${environment}/${key}`)?.kind;
  if (found?.case !== "segment") return undefined;
  const segment = found.value;
  const keys = [...segment.included, ...segment.excluded];
  const length = keys.reduce((sum, one) => sum + one.length + 2, 0);
  return {
    version: keyedVersion(segmentVersion(segment), segment.included, segment.excluded),
    digestText: `segment\n${key}\n${segment.revision}\n${length > COUNTED_LENGTH ? keys.length : 0}`,
    item: create(WatchItemSchema, { kind: { case: "segment", value: segment } }),
  };
}
