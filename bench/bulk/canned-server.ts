import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";

/** Answers every call with the same bytes: what sending an answer costs where nothing has to be found or encoded. */
const server = createServer();
let answer = Buffer.alloc(0);

server.on("stream", (stream: ServerHttp2Stream) => {
  stream.resume();
  stream.on("end", () => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.end(answer);
  });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
});

process.once("disconnect", () => process.exit());
process.on("message", ({ base64 }: { readonly base64: string }) => {
  answer = Buffer.from(base64, "base64");
  process.send?.("ready");
});
server.listen(0, "127.0.0.1", () => process.send?.({ port: (server.address() as AddressInfo).port }));
