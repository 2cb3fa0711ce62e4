// Adds what `npm install` leaves out of package-lock.json: the builds, for other platforms, of packages that come as one
// optional package a platform, where their metadata could not be had. Without them `npm ci` refuses the lock file. Run it
// after a change of dependencies; it says what it added.
import { readFileSync, writeFileSync } from "node:fs";

const platforms = {
  android: "android",
  darwin: "darwin",
  freebsd: "freebsd",
  linux: "linux",
  openbsd: "openbsd",
  netbsd: "netbsd",
  sunos: "sunos",
  aix: "aix",
  win32: "win32",
  windows: "win32",
  openharmony: "openharmony",
  wasm32: undefined,
};
const cpus = {
  x64: "x64",
  arm64: "arm64",
  arm: "arm",
  armv7: "arm",
  ia32: "ia32",
  ppc64: "ppc64",
  s390x: "s390x",
  riscv64: "riscv64",
  loong64: "loong64",
  mips64el: "mips64el",
  wasm32: "wasm32",
};

const lock = JSON.parse(readFileSync("package-lock.json", "utf8"));
const added = [];
for (const [path, { optionalDependencies = {}, dev }] of Object.entries(lock.packages)) {
  if (path === "") continue;
  for (const [name, version] of Object.entries(optionalDependencies)) {
    if (`node_modules/${name}` in lock.packages || `${path}/node_modules/${name}` in lock.packages) continue;
    const words = name.split(/[/-]/);
    const os = words.map((word) => platforms[word]).find((known) => known !== undefined);
    const cpu = words.map((word) => cpus[word]).find((known) => known !== undefined);
    if (os === undefined || cpu === undefined) continue;
    lock.packages[`node_modules/${name}`] = {
      version: version.replace(/^[\^~]/, ""),
      cpu: [cpu],
      ...(dev && { dev }),
      optional: true,
      os: [os],
      ...(words.includes("musl") && { libc: ["musl"] }),
    };
    added.push(`${name}@${version}`);
  }
}
const [root, ...rest] = Object.entries(lock.packages);
lock.packages = Object.fromEntries([root, ...rest.sort(([a], [b]) => (a < b ? -1 : 1))]);
writeFileSync("package-lock.json", `${JSON.stringify(lock, null, 2)}\n`);
console.log(added.length === 0 ? "nothing was missing" : `added ${added.join(", ")}`);
