#!/usr/bin/env node
// The command line is compiled. This is there before it is, so that `npx flagwire` finds it in a fresh checkout and can
// say what is missing; npx would remember that there was nothing.
import { existsSync } from "node:fs";

const main = new URL("../dist/src/cli/main.js", import.meta.url);
if (existsSync(main)) {
  await import(main.href);
} else {
  console.error("flagwire: this checkout is not built yet; run: npm ci && npm run build");
  process.exitCode = 2;
}
