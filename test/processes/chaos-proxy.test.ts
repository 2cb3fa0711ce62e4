import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type ChaosProxy, openChaosProxy } from "../support/chaos-proxy.js";

/** A server that says back what it hears, and the proxy in front of it. */
const server = createServer((socket) => {
  socket.on("error", () => {});
  socket.pipe(socket);
});
let proxy: ChaosProxy;
beforeEach(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  proxy = await openChaosProxy((server.address() as AddressInfo).port);
});
afterEach(async () => {
  await proxy[Symbol.asyncDispose]();
  await new Promise((closed) => server.close(closed));
});

/** What came back to a client, and how it ended. */
class Client {
  text = "";
  code: string | undefined;
  ended = false;
  readonly socket: Socket = connect(proxy.port, "127.0.0.1");

  constructor() {
    this.socket.on("data", (bytes) => {
      this.text += bytes;
    });
    this.socket.on("error", (error) => {
      this.code = (error as NodeJS.ErrnoException).code;
    });
    this.socket.on("close", () => {
      this.ended = true;
    });
  }

  say(text: string): void {
    this.socket.write(text);
  }

  heard(text: string): Promise<void> {
    return vi.waitFor(() => expect(this.text).toBe(text), { timeout: 10_000, interval: 2 });
  }

  closed(): Promise<void> {
    return vi.waitFor(() => expect(this.ended).toBe(true), { timeout: 10_000, interval: 2 });
  }
}

describe("a proxy", () => {
  it("carries both directions, and the end", async () => {
    const client = new Client();
    client.say("hello");
    await client.heard("hello");
    client.socket.end(" and goodbye");
    await client.closed();
    expect(client).toMatchObject({ text: "hello and goodbye", code: undefined });
    expect(proxy.counts).toMatchObject({ connections: 1, cuts: 0, bytesToServer: 17, bytesToClient: 17 });
  });

  it("holds everything while it stalls, and carries it afterwards", async () => {
    proxy.switchTo({ kind: "stall" });
    const client = new Client();
    client.say("hello");
    await vi.waitFor(() => expect(proxy.open).toBe(1));
    const other = new Client();
    await vi.waitFor(() => expect(proxy.open).toBe(2));
    expect([client.text, other.ended]).toEqual(["", false]);
    proxy.switchTo({ kind: "pass" });
    await client.heard("hello");
  });

  it("delays and thins what it carries, and loses nothing of it", async () => {
    for (const mode of [
      { kind: "delay", delayMs: 30 },
      { kind: "throttle", bytesPerSecond: 2_000 },
    ] as const) {
      proxy.switchTo(mode);
      const client = new Client();
      const start = performance.now();
      client.say("x".repeat(400));
      await client.heard("x".repeat(400));
      expect(performance.now() - start).toBeGreaterThanOrEqual(50);
    }
  });

  it("cuts open connections, and refuses new ones", async () => {
    const client = new Client();
    client.say("hello");
    await client.heard("hello");
    proxy.switchTo({ kind: "refuse" });
    client.say("!");
    await client.heard("hello!");
    expect(proxy.cut()).toBe(1);
    await client.closed();
    const other = new Client();
    await other.closed();
    expect([client.code, other.text]).toEqual(["ECONNRESET", ""]);
    expect(proxy.counts).toMatchObject({ connections: 1, cuts: 1, refused: 1 });
  });

  it("cuts each connection after so many bytes, or after a time", async () => {
    proxy.switchTo({ kind: "cut-after-bytes", sizeBytes: 3 });
    const client = new Client();
    client.say("hello");
    await client.closed();
    expect("hel".startsWith(client.text)).toBe(true);
    expect(proxy.counts).toMatchObject({ bytesToClient: 3, cuts: 1 });
    proxy.switchTo({ kind: "cut-after-time", afterMs: 20 });
    await new Client().closed();
    expect(proxy.counts.cuts).toBe(2);
  });

  it("holds the frames of an answer back until its last one, or until they are many", async () => {
    proxy.switchTo({ kind: "buffer", sizeBytes: 40 });
    const client = new Client();
    const first = frame(0, 0, 1, "first");
    const headers = frame(1, 4, 3, "headers");
    client.say(first + headers);
    // Of another stream, and headers: nothing that could be held back.
    await client.heard(headers);
    client.say(frame(0, 1, 1, "last"));
    await client.heard(headers + first + frame(0, 1, 1, "last"));
    const long = frame(0, 0, 3, "x".repeat(60));
    client.say(long);
    await client.heard(headers + first + frame(0, 1, 1, "last") + long);
  });
});

/** An HTTP/2 frame as text. */
function frame(type: number, flags: number, stream: number, text: string): string {
  return String.fromCharCode(0, 0, text.length, type, flags, 0, 0, 0, stream) + text;
}
