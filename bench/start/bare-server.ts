import { createServer } from "node:http";
import { readMemory } from "../support/memory.js";

/** A Node process that only listens and answers 200: `node bare-server.js PORT`. Any message is answered with its memory. */
process.once("disconnect", () => process.exit());
process.on("message", () => process.send?.(readMemory()));
createServer((_, response) => response.end()).listen(Number(process.argv[2]), "127.0.0.1");
