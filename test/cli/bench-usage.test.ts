import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { buildProgram } from "../support/build-program.js";

describe("the benches' --help", () => {
  it.each([
    ["bench/run.ts", "usage: npm run bench -- "],
    ["bench/peers/run.ts", "usage: npm run bench:peers -- "],
  ])("prints the usage and measures nothing: %s", async (source, usage) => {
    const program = await buildProgram(source);
    try {
      // Rejects for any other exit code than 0.
      const { stdout, stderr } = await promisify(execFile)(process.execPath, [program.compiled(source), "--help"]);
      expect(stdout.startsWith(usage)).toBe(true);
      expect(stderr).toBe("");
    } finally {
      await program.remove();
    }
  });
});
