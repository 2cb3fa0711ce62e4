import { type Agent, request } from "node:http";
import { json } from "node:stream/consumers";
import type { JsonObject } from "@bufbuild/protobuf";
import { toFlatMetadata, toResolutionErrorCode } from "../../src/resolution/index.js";
import type { Answer, VectorCase } from "../vectors-source/vector-file.js";
import type { ForeignProtocol } from "./foreign-protocol.js";
import { ENVIRONMENT } from "./vector-server.js";

/** One flag by OFREP. */
export function ofrepProtocol(address: string, agent: Agent): ForeignProtocol {
  return { ask: (vector) => ask(address, agent, vector), expected };
}

/** Not by `fetch`, which costs several times as much. */
function ask(address: string, agent: Agent, { flagKey, context }: VectorCase): Promise<JsonObject> {
  return new Promise((resolve, reject) => {
    const url = `http://${address}/ofrep/v1/evaluate/flags/${encodeURIComponent(flagKey)}`;
    const headers = { "flagwire-environment": ENVIRONMENT };
    const sent = request(url, { method: "POST", agent, headers }, (response) => {
      json(response).then((body) => {
        const { errorDetails: _free, ...rest } = body as JsonObject;
        resolve({ status: response.statusCode ?? 0, ...rest });
      }, reject);
    });
    sent.on("error", reject);
    sent.end(JSON.stringify({ context }));
  });
}

function expected({ flagKey: key }: VectorCase, { reason, value, variant, errorCode, metadata }: Answer): JsonObject {
  if (errorCode !== undefined) {
    const status = errorCode === "FLAG_NOT_FOUND" ? 404 : 400;
    return { status, key, errorCode: toResolutionErrorCode(errorCode) };
  }
  const isOurs = reason === "KILLED" || reason === "PREREQUISITE_FAILED";
  const flat = { ...toFlatMetadata(metadata), ...(isOurs && { "flagwire.reason": reason }) };
  return {
    status: 200,
    key,
    ...(value !== undefined && { value: value as JsonObject }),
    reason: isOurs ? "DISABLED" : reason,
    ...(variant !== undefined && { variant }),
    ...(Object.keys(flat).length > 0 && { metadata: flat }),
  };
}
