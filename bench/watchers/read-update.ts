import { toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { WatchResponseSchema } from "../../gen/flagwire/v1/watch_pb.js";
import type { WatchPosition } from "./watcher-group.js";

/** The first update that a watcher is sent, as one message whatever its size. */
export async function readUpdate(address: string, position: WatchPosition | undefined): Promise<Buffer> {
  const baseUrl = `http://${address}`;
  const sessionManager = new Http2SessionManager(baseUrl);
  const client = createClient(EvaluationService, createGrpcTransport({ baseUrl, sessionManager }));
  try {
    const from = position && { epoch: position.epoch, revision: BigInt(position.revision) };
    const parts: Uint8Array[] = [];
    for await (const response of client.watch({ ...(from && { position: from }), once: true })) {
      // Messages of protobuf, one after the other, are the message that has the fields of all.
      parts.push(toBinary(WatchResponseSchema, response));
    }
    return Buffer.concat(parts);
  } finally {
    sessionManager.abort();
  }
}
