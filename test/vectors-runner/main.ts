import { runVectors } from "./run-vectors.js";

process.exitCode = await runVectors(process.argv.slice(2), {
  stdout: (text) => process.stdout.write(text),
  stderr: (text) => process.stderr.write(text),
});
