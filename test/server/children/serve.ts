import { pino } from "pino";
import { ListenProblem, openServer } from "../../../src/server/index.js";
import { isStoreProblem, openLmdbStore } from "../../../src/store/index.js";

// Serves the data directory given as its argument until it is killed, and prints where, as a line of JSON.
const [path = ""] = process.argv.slice(2);
const print = (line: unknown): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

const store = await openLmdbStore({ path, minFreeBytes: 0 });
if (isStoreProblem(store)) {
  print({ problem: store.kind, message: store.message });
} else {
  const log = pino({ level: "silent" });
  const server = await openServer({ store, listen: { host: "127.0.0.1", port: 0 }, log });
  print(server instanceof ListenProblem ? { problem: server.message } : { port: server.address.port });
}
