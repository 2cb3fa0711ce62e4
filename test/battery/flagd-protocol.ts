import type { JsonObject } from "@bufbuild/protobuf";
import { type CallOptions, type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Service } from "../../gen/flagd/evaluation/v2/evaluation_pb.js";
import { toFlatMetadata } from "../../src/resolution/index.js";
import { RESOLVE_METHODS } from "../flagd-services/evaluation-support.js";
import type { Answer, VectorCase } from "../vectors-source/vector-file.js";
import type { ForeignProtocol } from "./foreign-protocol.js";
import { ENVIRONMENT } from "./vector-server.js";

/** One flag by `flagd.evaluation.v2` over gRPC. */
export function flagdProtocol(address: string): ForeignProtocol {
  const client = createClient(Service, createGrpcTransport({ baseUrl: `http://${address}` }));
  return { ask: (vector) => ask(client, vector), expected };
}

type Resolve = (
  request: { readonly flagKey: string; readonly context: JsonObject },
  options: CallOptions,
) => Promise<{ value?: JsonObject; variant?: string; reason: string; metadata?: JsonObject }>;

/** By the method of the value's type: without a value, any will do. */
async function ask(client: Client<typeof Service>, { flagKey, context, value }: VectorCase): Promise<JsonObject> {
  const method = RESOLVE_METHODS[(value === undefined ? "boolean" : typeof value) as keyof typeof RESOLVE_METHODS];
  const resolve = client[method] as unknown as Resolve;
  const headers = { "flagwire-environment": ENVIRONMENT };
  try {
    const answer = await resolve({ flagKey, context: context as JsonObject }, { headers });
    const { variant, reason, metadata = {} } = answer;
    return {
      ...(answer.value !== undefined && { value: answer.value }),
      ...(variant && { variant }),
      reason,
      metadata,
    };
  } catch (thrown) {
    if (thrown instanceof ConnectError) return { status: Code[thrown.code] ?? "" };
    throw thrown;
  }
}

const STATUSES: { readonly [errorCode: string]: string } = {
  FLAG_NOT_FOUND: "NotFound",
  MALFORMED_FLAG: "DataLoss",
  TARGETING_KEY_MISSING: "FailedPrecondition",
};

/** Where there is no value, flagd's own clients know two reasons. */
function expected(_vector: VectorCase, { reason, value, variant, errorCode, metadata }: Answer): JsonObject {
  if (errorCode !== undefined) return { status: STATUSES[errorCode] ?? errorCode };
  const flat = { metadata: { ...toFlatMetadata(metadata) } };
  if (value === undefined)
    return { reason: reason === "DISABLED" || reason === "KILLED" ? "DISABLED" : "DEFAULT", ...flat };
  return { value: value as JsonObject, ...(variant !== undefined && { variant }), reason, ...flat };
}
