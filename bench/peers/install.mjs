// Installs the peers of `npm run bench:peers` into this folder, unless the lock file's are there already.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const folder = import.meta.dirname;
const packagesIn = (file) =>
  existsSync(join(folder, file)) ? JSON.parse(readFileSync(join(folder, file), "utf8")).packages : {};

/** Whether npm's record of what it installed names every package that is wanted, at its version. */
function isInstalled() {
  const wanted = packagesIn("package-lock.json");
  const installed = packagesIn("node_modules/.package-lock.json");
  return Object.entries(wanted).every(
    ([path, { version, optional }]) => path === "" || optional || installed[path]?.version === version,
  );
}

if (!isInstalled()) {
  process.stderr.write("installing the peers into bench/peers/node_modules …\n");
  // With a prefix, because the npm that runs this as a script hands down the project's.
  const args = [
    "ci",
    "--prefix",
    ".",
    "--ignore-scripts",
    "--prefer-offline",
    "--fetch-retries=1",
    "--no-audit",
    "--no-fund",
  ];
  const { status, error } = spawnSync("npm", args, {
    cwd: folder,
    stdio: ["ignore", "ignore", "inherit"],
    shell: process.platform === "win32",
  });
  if (status !== 0) {
    const reason = error === undefined ? "" : ` (${error.message})`;
    process.stderr.write(
      `The SDKs to measure beside Flagwire could not be installed${reason}. They come from the npm registry, so this needs
the network once; nothing else of the project needs them. Again: npm ci --prefix bench/peers\n`,
    );
    process.exit(1);
  }
}
