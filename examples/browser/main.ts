// Serves a page whose flags are evaluated on the server, and change while it is open. In the checkout: npm run example:browser
//
// The page's origin must be allowed to call Flagwire: flagwire serve --cors-origins http://127.0.0.1:3000
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { build } from "esbuild";

// Whoever can load the page can read its token: give it one of the role evaluator.
const { FLAGWIRE_ADDRESS = "127.0.0.1:8013", FLAGWIRE_TOKEN } = process.env;

const bundle = await build({
  entryPoints: ["page.ts"],
  bundle: true,
  minify: true,
  write: false,
  format: "esm",
  target: "es2022",
  define: { FLAGWIRE: JSON.stringify({ address: FLAGWIRE_ADDRESS, token: FLAGWIRE_TOKEN }) },
});
const [page] = bundle.outputFiles;
if (page === undefined) throw new Error("the page was not bundled");
const html = await readFile("index.html");

const server = createServer((request, response) => {
  if (request.url === "/") response.setHeader("content-type", "text/html; charset=utf-8").end(html);
  else if (request.url === "/page.js") response.setHeader("content-type", "text/javascript").end(page.contents);
  else response.writeHead(404).end();
});

server.on("error", ({ message }) => {
  console.error(`${message}. Set PORT to one that is free.`);
  process.exitCode = 1;
});
server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  const address = server.address();
  const port = typeof address === "object" ? address?.port : address;
  console.log(`Open http://127.0.0.1:${port}/ (its script has ${Math.round(page.contents.length / 1024)} KiB)`);
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    server.close();
    server.closeAllConnections();
  });
}
