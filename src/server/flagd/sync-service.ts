import { create } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import {
  type FetchAllFlagsRequest,
  type FetchAllFlagsResponse,
  FlagSyncService,
  GetMetadataResponseSchema,
  type SyncFlagsRequest,
  type SyncFlagsResponse,
} from "../../../gen/flagd/sync/v1/sync_pb.js";
import { resolveEnvironment } from "../access/permit.js";
import { serveCursor } from "../cursor-stream.js";
import { environmentNotFound } from "../environment.js";
import type { Evaluation } from "../evaluation-parts.js";
import { type Answered, type Call, type CursorHandler, type ServedService, serveService } from "../handlers.js";
import { isRefusal, type OrRefusal } from "../refusal.js";
import { selectedEnvironment } from "../selected-environment.js";
import { HeadCursor } from "../state/head-cursor.js";
import { SyncCursor, syncEnded, syncTooLarge } from "./sync-cursor.js";
import type { SyncEnvironment } from "./sync-environment.js";
import { SyncEnvironments } from "./sync-environments.js";

/** The protocol has no heartbeat, so nothing is sent after a silence: any time will do. */
const SILENCE_MS = 3_600_000;

/**
 * `flagd.sync.v1.FlagSyncService`: all flags of an environment in flagd's terms, for clients that evaluate by themselves. A flag
 * that flagd cannot express exactly is left out and named in the log.
 */
export function flagdSyncService({ head, clock }: Evaluation, log: Logger): ServedService[] {
  const environments = new SyncEnvironments({ head, clock, log });

  const select = (request: { readonly selector: string }, call: Call): OrRefusal<SyncEnvironment> => {
    const selected = selectedEnvironment(call, request.selector);
    if (isRefusal(selected)) return selected;
    const name = resolveEnvironment(selected ?? "", call);
    if (isRefusal(name)) return name;
    return environments.of(name) ?? environmentNotFound(name);
  };

  const open: CursorHandler<SyncFlagsRequest, SyncFlagsResponse> = (request, call, onNews) => {
    const environment = select(request, call);
    if (isRefusal(environment)) return environment;
    environment.follow();
    const { announcements } = environments;
    const read = () => environment.state;
    return new SyncCursor(new HeadCursor({ announcements, clock, read, silenceMs: SILENCE_MS }, onNews), environment);
  };

  const fetchAllFlags = async (request: FetchAllFlagsRequest, call: Call): Promise<Answered<FetchAllFlagsResponse>> => {
    const environment = select(request, call);
    if (isRefusal(environment)) return environment;
    const state = await environment.current();
    if (state?.kind === "ready") return state.fetched;
    return state?.kind === "too-large" ? syncTooLarge(state.sizeBytes) : syncEnded;
  };

  return [
    serveService(FlagSyncService, {
      syncFlags: serveCursor(open),
      fetchAllFlags,
      // Some clients add what it says to every context, and give up where it fails.
      getMetadata: () => create(GetMetadataResponseSchema, { metadata: {} }),
    }),
  ];
}
