import { isStoreProblem, restoreStore } from "../../../src/store/index.js";

// Restores a backup over a data directory, and prints what came of it as a line of JSON. Arguments: backup, directory.
const [from = "", path = ""] = process.argv.slice(2);
process.stdout.write(`${JSON.stringify({ begun: true })}\n`);
const report = await restoreStore({ from, path, replace: true });
const line = isStoreProblem(report) ? { problem: report.kind } : { epoch: report.epoch };
process.stdout.write(`${JSON.stringify(line)}\n`);
