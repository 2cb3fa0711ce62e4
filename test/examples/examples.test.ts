import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { startTestServer } from "../../src/testing/index.js";
import { findChromium, missingOfGo, missingOfPython, OFFLINE_GO } from "./available.js";
import { type Checkout, openCheckout, runTypeScript } from "./checkout.js";
import { type RunningExample, runExample } from "./running-example.js";

let checkout: Checkout;
beforeAll(async () => {
  checkout = await openCheckout();
}, 60_000);
afterAll(() => checkout.remove());

async function urlOf(example: RunningExample): Promise<URL> {
  const [url] = await example.printed(/http:\/\/127\.0\.0\.1:\d+\//);
  return new URL(url);
}

describe("the examples in TypeScript", () => {
  it("compile against the package's own types", async () => {
    await runTypeScript(join(checkout.folder, "examples"));
  }, 60_000);

  it("Express: routes follow flags, and say which are active", async () => {
    // As the command line may have it, for another server than the example's own.
    const example = await runExample(checkout, "express", { FLAGWIRE_TOKEN: "fw_of.another" });
    const url = await urlOf(example);
    const headers = { "x-user": "user-7" };
    const before = await fetch(url, { headers });
    expect(await before.text()).toContain("#4575b4");
    expect(before.headers.get("flagwire-flags")).toBe("button-color=blue");
    expect(await (await fetch(new URL("/search", url), { headers: { "x-plan": "pro" } })).json()).toEqual({
      maxResults: 200,
    });
    const buyNow = () => fetch(new URL("/buy-now", url), { method: "POST", headers });
    expect((await buyNow()).status).toBe(404);
    await example.rollOut();
    await example.printed(/revision 3 changed express-checkout, new-checkout/);
    expect(await (await buyNow()).text()).toBe("bought\n");
    expect(await (await fetch(url, { headers })).text()).toContain("the new checkout");
    expect(await example.interrupt()).toBe(0);
  }, 60_000);

  it("OpenFeature: the SDK answers by the provider, and tells what changes", async () => {
    const example = await runExample(checkout, "openfeature");
    const url = await urlOf(example);
    url.search = "?user=user-7&plan=pro";
    const before = { color: "#4575b4", because: "SPLIT", newCheckout: false, timeoutMs: 10000 };
    expect(await (await fetch(url)).json()).toEqual({ ...before, search: { maxResults: 200, facets: true } });
    await example.rollOut();
    await example.printed(/changed: \[ 'express-checkout', 'new-checkout' \]/);
    expect(await (await fetch(url)).json()).toMatchObject({ newCheckout: true });
    expect(await example.interrupt()).toBe(0);
  }, 60_000);
});

describe("an example", () => {
  it.each(["express", "openfeature", "browser"])(
    "says in one line that its port is taken: %s",
    async (name) => {
      const other = createServer().listen(0, "127.0.0.1");
      onTestFinished(() => void other.close());
      await once(other, "listening");
      const address = other.address();
      const port = typeof address === "object" ? address?.port : address;
      await using server = await startTestServer();
      const example = await runExample(checkout, name, { PORT: String(port), FLAGWIRE_ADDRESS: server.address });
      expect(await example.ended()).toBe(1);
      expect(example.output().split("\n\n")[1]).toBe(
        `listen EADDRINUSE: address already in use 127.0.0.1:${port}. Set PORT to one that is free.\n`,
      );
    },
    60_000,
  );

  it.each(["express", "openfeature"])(
    "says in one line that it has no flags, and why: %s",
    async (name) => {
      await using server = await startTestServer();
      await server.createToken("reader");
      const example = await runExample(checkout, name, { FLAGWIRE_ADDRESS: server.address });
      expect(await example.ended()).toBe(1);
      expect(example.output().split("\n\n")[1]).toMatch(/^No flags: .*needs a token.*\n$/);
    },
    60_000,
  );

  it("goes on when its own server dies, and says so in one line", async () => {
    const example = await runExample(checkout, "openfeature");
    const url = await urlOf(example);
    url.search = "?user=user-7";
    await example.killServer();
    await example.printed(/\nThe example's own server has ended \(SIGKILL\), and is not started again\..*\n/);
    expect(await (await fetch(url)).json()).toMatchObject({ color: "#4575b4" });
    expect(await example.interrupt()).toBe(0);
  }, 60_000);
});

const browserPath = findChromium();
const whyNoBrowser = browserPath === undefined ? " (skipped: no Chromium here)" : "";

async function openPage(url: URL): Promise<Page> {
  // Of its own accord a browser would call its maker.
  const args = [
    "--no-sandbox",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
  ];
  const browser = await chromium.launch({ executablePath: browserPath ?? "", args });
  onTestFinished(() => browser.close());
  const page = await browser.newPage();
  await page.goto(url.href);
  return page;
}

describe("the example in a browser", () => {
  it.skipIf(browserPath === undefined)(
    `shows flags, and follows them and who looks at them${whyNoBrowser}`,
    async () => {
      const example = await runExample(checkout, "browser");
      const page = await openPage(await urlOf(example));
      const row = (name: string) => page.getByRole("row", { name, exact: true }).waitFor();
      await page.getByText("Up to date").waitFor();
      await row("new-checkout false SPLIT");
      await row('button-color "#4575b4" SPLIT');
      await row('search {"maxResults":20,"facets":false} DEFAULT');
      await page.getByLabel("on the pro plan").check();
      await row('search {"maxResults":200,"facets":true} TARGETING_MATCH');
      await example.rollOut();
      await row("new-checkout true SPLIT");
      await page.getByRole("button", { name: "Buy, by the new checkout" }).waitFor();
      expect(await example.interrupt()).toBe(0);
    },
    60_000,
  );
});

interface Program {
  readonly name: string;
  readonly folder: string;
  readonly missing: string | undefined;
  readonly env?: Readonly<Record<string, string>>;
  /** As the language prints it, whatever the order. */
  readonly search: RegExp;
}

const programs: readonly Program[] = [
  {
    name: "Python",
    folder: "python",
    missing: missingOfPython("examples/python"),
    search: /search: \{(?=.*'maxResults': 200\.0)(?=.*'facets': True)/,
  },
  {
    name: "Go",
    folder: "go",
    missing: missingOfGo(),
    env: OFFLINE_GO,
    search: /search: map\[facets:true maxResults:200\]/,
  },
];

describe("the examples with stubs from the proto", () => {
  for (const { name, folder, missing, env, search } of programs) {
    const why = missing === undefined ? "" : ` (skipped: ${missing})`;
    it.skipIf(missing !== undefined)(
      `${name}: evaluates, follows changes, and says why that ended${why}`,
      async () => {
        const example = await runExample(checkout, folder, env);
        await example.printed(/watching: .*\bnew-checkout,.* segment staff \(revision 2\)/);
        expect(example.output()).toMatch(search);
        expect(example.output()).toMatch(/no-such-flag: not.?found: there is no flag "no-such-flag"/i);
        expect(example.output()).toContain("  express-checkout is off, because PREREQUISITE_FAILED\n");
        await example.rollOut();
        await example.printed(/changed: new-checkout \(revision 3\)/);
        await example.killServer();
        await example.printed(/the stream ended: .*unavailable(:| desc =) \S/i);
        expect(await example.interrupt()).toBe(0);
      },
      120_000,
    );
  }
});

describe("an example at a server that asks for a token", () => {
  async function runWithToken(name: string, role: Role, env: Readonly<Record<string, string>> = {}) {
    const server = await startTestServer({ flags: { "button-color": "#123456" }, corsOrigins: ["*"] });
    onTestFinished(() => server.close());
    const { bearer } = await server.admin.createToken({ token: { name: "example", role } });
    return runExample(checkout, name, { ...env, FLAGWIRE_ADDRESS: server.address, FLAGWIRE_TOKEN: bearer });
  }

  it.each(["express", "openfeature"])(
    "presents that of its environment: %s",
    async (name) => {
      const example = await runWithToken(name, Role.READER);
      expect(await (await fetch(await urlOf(example))).text()).toContain("#123456");
    },
    60_000,
  );

  it.skipIf(browserPath === undefined)(
    `presents it from the page${whyNoBrowser}`,
    async () => {
      const page = await openPage(await urlOf(await runWithToken("browser", Role.EVALUATOR)));
      await page.getByRole("row", { name: 'button-color "#123456" STATIC', exact: true }).waitFor();
    },
    60_000,
  );

  for (const { name, folder, missing, env } of programs) {
    const why = missing === undefined ? "" : ` (skipped: ${missing})`;
    it.skipIf(missing !== undefined)(
      `presents it with each call, in ${name}${why}`,
      async () => {
        const example = await runWithToken(folder, Role.READER, env);
        await example.printed(/watching: button-color/);
        expect(example.output()).toContain("  button-color is value, because STATIC\n");
      },
      120_000,
    );
  }
});
