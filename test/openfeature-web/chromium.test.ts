import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { build } from "esbuild";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openServer, type RestartableServer, serve, stringFlag, text } from "../server/admin-support.js";
import { findChromium } from "./chromium-path.js";

const executablePath = findChromium();
const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Serves the page from an origin of its own, so that every call of it is one to another. */
async function servePage(): Promise<Server> {
  const folder = join(import.meta.dirname, "page");
  const { outputFiles } = await build({
    entryPoints: [join(folder, "main.ts")],
    bundle: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    write: false,
  });
  const html = await readFile(join(folder, "index.html"));
  const server = createServer(({ url = "" }, response) => {
    const isScript = url.startsWith("/main.js");
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? outputFiles[0]?.contents : html);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

// `skipped` lists it by this name where it does not run.
describe.skipIf(executablePath === undefined)("a page in Chromium (skipped: no Chromium)", () => {
  let pages: Server;
  let browser: Browser;
  let server: RestartableServer;
  let page: Page;
  const problems: string[] = [];

  beforeAll(async () => {
    pages = await servePage();
    browser = await chromium.launch({ executablePath: executablePath ?? "", args: ARGS });
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    pages?.close();
  });

  const origin = () => `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
  const shows = async (selector: string, expected: string) => {
    await page.locator(selector).filter({ hasText: expected }).waitFor({ timeout: 8_000 });
  };
  const serves = (variant: string) =>
    server.admin.updateTargeting({
      targeting: {
        flagKey: "greeting",
        enabled: true,
        offVariant: "hello",
        default: serve(variant),
        targets: [{ variant: "bob", targetingKeys: ["bob"] }],
      },
    });

  /** A server that the page may call, and a browser that has never been there. */
  async function openAll(): Promise<void> {
    server = await openServer({ web: { corsOrigins: [origin()] } });
    const variants = { hello: text("Hello"), welcome: text("Welcome"), bob: text("Hi Bob") };
    await server.admin.createFlag({ flag: stringFlag("greeting", [], { variants }) });
    await serves("hello");
    const context = await browser.newContext({ viewport: { width: 640, height: 400 } });
    page = await context.newPage();
    page.on("pageerror", ({ message }) => problems.push(message));
    await page.goto(`${origin()}/?user=ann&server=${server.address}`);
  }

  it("shows a flag, what changes at once, another user's, and keeps all of it without a server", async () => {
    await openAll();
    await shows("#greeting", "Hello");
    await shows("#details", "hello, DEFAULT");

    await serves("welcome");
    await shows("#greeting", "Welcome");
    await shows("#events", "ready configuration_changed(greeting)");

    await page.evaluate("logIn('bob')");
    await shows("#greeting", "Hi Bob");
    await shows("#events", "reconciling context_changed");
    await page.evaluate("logIn('ann')");
    await shows("#greeting", "Welcome");

    await server.stop();
    await shows("#status", "STALE");
    await shows("#details", "welcome, DEFAULT");

    await page.reload();
    await shows("#greeting", "Welcome");
    await shows("#details", "welcome, CACHED");
    await shows("#events", "ready stale");
    await page.goto(`${origin()}/?user=carol&server=${server.address}`);
    await shows("#status", "ERROR");
    await shows("#greeting", "Hello (by default)");

    const port = Number(server.address.split(":")[1]);
    await server.restart({ listen: { host: "127.0.0.1", port } });
    await shows("#status", "READY");
    await shows("#greeting", "Welcome");
    expect(problems).toEqual([]);
  });

  it("of an origin that the server does not list gets nothing, and is told what may be wrong", async () => {
    await openAll();
    await shows("#greeting", "Hello");
    await server.restart({ listen: { host: "127.0.0.1", port: 0 }, web: { corsOrigins: ["https://elsewhere.test"] } });
    await page.goto(`${origin()}/?user=ann&server=${server.address}`);
    await shows("#status", "ERROR");
    await shows("#greeting", "Hello (by default)");
    await shows(
      "#error",
      `${server.address}: Failed to fetch: no server is there, or it does not permit pages of ${origin()}`,
    );
  });
});
