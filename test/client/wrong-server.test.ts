import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net";
import { expect, test } from "vitest";
import { MirrorError, openMirror, openRemote } from "../../src/client/index.js";

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

// An error that nobody listens for would fail the run, which is what these tests are about.
test.each([
  ["speaks HTTP/1.1 only", () => createServer((_request, response) => response.end("hello"))],
  [
    "answers with noise",
    () =>
      createTcpServer((socket) =>
        socket
          .on("error", () => {})
          .resume()
          .end("\u0000\u0001noise\r\n\r\n"),
      ),
  ],
  ["hangs up", () => createTcpServer((socket) => socket.destroy())],
])("a mirror of a server that %s says so, and goes on living", async (_name, open) => {
  const server = open();
  const address = await listen(server);
  const opening = openMirror({ address, connectTimeoutMs: 700, backoff: { minMs: 10, maxMs: 20 } });
  await expect(opening).rejects.toThrow(MirrorError);
  const remote = await openRemote({ address });
  expect(await remote.boolean("any", true)).toBe(true);
  await remote.close();
  await new Promise((resolve) => server.close(resolve));
});
