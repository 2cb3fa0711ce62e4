// A shop on Express whose answers depend on flags. In the checkout: npm run example:express
import express, { type Request } from "express";
import { openMirror } from "flagwire";
import { flagwireMiddleware, requireFlag } from "flagwire/express";

// All flags are held in this process: asking for one costs no call, and goes on while the server is away.
const { FLAGWIRE_ADDRESS: address = "127.0.0.1:8013", FLAGWIRE_TOKEN: token } = process.env;
const mirror = await openMirror({ address, token, clientName: "express example" }).catch((error: Error) => {
  console.error(`No flags: ${error.message}`);
  process.exit(1);
});
mirror.on("change", ({ keys, revision }) => console.log(`revision ${revision} changed ${keys.join(", ")}`));
mirror.on("error", ({ message }) => console.warn(message));

const app = express();

// Who asks, as rules see them. A real shop takes this from its session.
const contextOf = (request: Request) => ({
  targetingKey: request.get("x-user") ?? "anonymous",
  plan: request.get("x-plan") ?? "free",
  path: request.path,
});

// From here on a request has `flags`: of its own context, and of one revision however long it takes.
app.use(flagwireMiddleware({ flags: mirror, context: contextOf, header: true }));

app.get("/", (request, response) => {
  const color = request.flags.string("button-color", "#888888");
  const checkout = request.flags.boolean("new-checkout", false) ? "new" : "old";
  response.send(`<button style="background: ${color}">Buy, by the ${checkout} checkout</button>\n`);
});

app.get("/search", (request, response) => {
  const { maxResults } = request.flags.object("search", { maxResults: 10 });
  response.json({ maxResults });
});

// A route that is there for those who have the flag only. Without a status, it would answer 403.
app.post("/buy-now", requireFlag("express-checkout", { status: 404 }), (_request, response) => {
  response.send("bought\n");
});

const server = app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", (error) => {
  if (error) {
    console.error(`${error.message}. Set PORT to one that is free.`);
    process.exitCode = 1;
    return void mirror.close();
  }
  const listening = server.address();
  const port = typeof listening === "object" ? listening?.port : listening;
  console.log(`Try: curl -i http://127.0.0.1:${port}/ -H 'x-user: user-7'`);
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => server.close(() => void mirror.close()));
}
