// Fails where gen/ is not what a fresh generation gives.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const fresh = mkdtempSync(join(tmpdir(), "flagwire-gen-"));
try {
  execFileSync("buf", ["generate", "--output", fresh], { stdio: "inherit" });
  const files = (folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
      .sort();
  const committed = files("gen");
  const expected = files(join(fresh, "gen"));
  const differing = [...new Set([...committed, ...expected])].filter((file) => {
    if (!committed.includes(file) || !expected.includes(file)) return true;
    return !readFileSync(join("gen", file)).equals(readFileSync(join(fresh, "gen", file)));
  });
  if (expected.length === 0 || differing.length > 0) {
    console.error(`gen/ is not what 'npm run generate' gives: ${differing.join(", ") || "nothing was generated"}`);
    process.exitCode = 1;
  } else {
    console.log(`gen/ is up to date (${expected.length} files)`);
  }
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
