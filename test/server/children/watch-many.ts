import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { EvaluationService } from "../../../gen/flagwire/v1/evaluation_service_pb.js";

// Watches over so many connections and reads all that comes. Arguments: port, protocol, how many.
const [port = "", protocol = "", count = ""] = process.argv.slice(2);
const baseUrl = `http://127.0.0.1:${port}`;

async function watch(): Promise<void> {
  const transport =
    protocol === "gRPC"
      ? createGrpcTransport({ baseUrl })
      : createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: true });
  try {
    for await (const _ of createClient(EvaluationService, transport).watch({}));
  } catch {
    // Cut off, as it should be.
  }
}

for (let index = 0; index < Number(count); index++) void watch();
