import { pino } from "pino";
import { ListenProblem, openServer } from "../../../src/server/index.js";
import { openMemoryStore } from "../../../src/store/index.js";

// Serves a store in memory until it is killed. Prints where, and then again and again what it holds, as lines of JSON. Its
// argument is the time that a message may wait for its client, in milliseconds. Needs --expose-gc.
const [stallTimeoutMs = ""] = process.argv.slice(2);
const print = (line: unknown): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

const store = await openMemoryStore({ history: { maxEntries: 10 }, window: { maxEntries: 10 } });
const log = pino({ level: "silent" });
const limits = { stallTimeoutMs: Number(stallTimeoutMs) };
const server = await openServer({ store, listen: { host: "127.0.0.1", port: 0 }, log, limits });
if (server instanceof ListenProblem) throw new Error(server.message);
print({ port: server.address.port });
setInterval(() => {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  print({ ...server.stats(), liveBytes: heapUsed + external });
}, 200);
