import { openBareLmdb } from "../support/lmdb.js";
import { type Lanes, runLanes } from "./run-lanes.js";

/** Bare durable writes to LMDB, in a process of its own: `node bare-writer.js DIRECTORY`. Answers each order by the writes a second. */
const database = openBareLmdb(process.argv[2] ?? "");
const page = Buffer.alloc(4096, 1);
let key = 0;

process.once("disconnect", () => process.exit());
process.on("message", (lanes: Lanes) => {
  void runLanes(lanes, async () => {
    await database.put(key++, page);
  }).then((perSecond) => process.send?.(perSecond));
});
process.send?.("started");
