// Bundles the browser's part of the package, as an application's bundler does, and says how large it is.
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

/**
 * In bytes, gzipped. A page waits for these before it can ask for a flag: one round trip's worth of a new connection
 * (10 segments of 1,460 bytes) is to hold them with room for the page's own first code. The same text compresses to the same bytes
 * everywhere, but for versions of esbuild and zlib.
 */
const BUDGET = 6_144;

const { metafile, outputFiles } = await build({
  entryPoints: ["src/openfeature-web/index.ts"],
  bundle: true,
  minify: true,
  platform: "browser",
  format: "esm",
  target: "es2022",
  external: ["@openfeature/web-sdk"],
  metafile: true,
  write: false,
  outfile: "openfeature-web.js",
});
const [output] = outputFiles;
const gzipBytes = gzipSync(output.contents, { level: 9 }).byteLength;
const foreign = Object.keys(metafile.inputs).filter((path) => path.includes("node_modules/"));
console.log(
  `flagwire/openfeature-web: ${output.contents.byteLength} bytes minified, ${gzipBytes} gzipped (budget ${BUDGET}), of ${Object.keys(metafile.inputs).length} files`,
);
if (foreign.length > 0) throw new Error(`it holds ${foreign.join(", ")}`);
if (gzipBytes > BUDGET) throw new Error(`it is ${gzipBytes - BUDGET} bytes too large`);
