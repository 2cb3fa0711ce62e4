import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";

/** What one first update is to a client that decodes it and does nothing with it: `node bare-client.js ADDRESS`. */
export interface BareUpdate {
  readonly tookMs: number;
  readonly items: number;
}

const baseUrl = `http://${process.argv[2]}`;
const sessionManager = new Http2SessionManager(baseUrl);
const startedAt = performance.now();
const client = createClient(EvaluationService, createGrpcTransport({ baseUrl, sessionManager }));
let items = 0;
for await (const response of client.watch({ once: true })) items += response.items.length;
const update: BareUpdate = { tookMs: performance.now() - startedAt, items };
sessionManager.abort();
process.send?.(update);
process.once("disconnect", () => process.exit());
