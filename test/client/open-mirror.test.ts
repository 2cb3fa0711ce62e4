import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toJson } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FlagFileSchema } from "../../gen/flagwire/v1/history_pb.js";
import {
  type Mirror,
  type MirrorLogEntry,
  type MirrorOptions,
  openMirror,
  TransportError,
} from "../../src/client/index.js";
import { createWatchHub } from "../../src/watch/index.js";
import { HubTransport } from "../support/hub-transport.js";
import { booleanFlag, segment } from "../support/items.js";
import { Publisher } from "../support/publisher.js";
import { settle, VirtualClock } from "../support/virtual-clock.js";

let clock: VirtualClock;
let publisher: Publisher;
let transport: HubTransport;
let folder: string;
const opened: Mirror[] = [];

beforeEach(async () => {
  clock = new VirtualClock();
  const hub = createWatchHub({ clock, random: () => 0.5 });
  publisher = new Publisher(hub, [booleanFlag("a", 1), segment("beta", 1, ["u1"])]);
  transport = new HubTransport(hub);
  folder = await mkdtemp(join(tmpdir(), "flagwire-mirror-"));
});

afterEach(async () => {
  for (const mirror of opened.splice(0)) await mirror.close();
  await rm(folder, { recursive: true, force: true });
});

/** Opens in the background, because the clock stands still. */
function opening(options: MirrorOptions = {}): Promise<Mirror> {
  const mirror = openMirror({ transport, clock, random: () => 0.5, ...options });
  mirror.then(
    (done) => opened.push(done),
    () => {},
  );
  return mirror;
}

const refused = Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:8013"), { code: "ECONNREFUSED" });
const away = new TransportError("UNAVAILABLE", refused.message, undefined, { cause: refused });

describe("without anything kept", () => {
  it("keeps trying, and opens when the server comes", async () => {
    transport.refusal = away;
    const mirror = opening();
    await clock.advance(3_000);
    transport.refusal = undefined;
    await clock.advance(5_000);
    expect((await mirror).status).toBe("ready");
  });

  it("rejects after ten seconds, saying where it looked, what happened and what to do", async () => {
    transport.refusal = away;
    const mirror = opening();
    await clock.advance(10_000);
    await expect(mirror).rejects.toThrow(
      /no flags from http:\/\/hub\.test within 10 s .*ECONNREFUSED.*flagwire serve.*cache/,
    );
    expect(clock.pendingTimers).toBe(0);
    expect(transport.isClosed).toBe(true);
  });

  it("rejects after ten seconds of silence too", async () => {
    transport.freeze();
    const mirror = opening();
    await clock.advance(10_000);
    await expect(mirror).rejects.toMatchObject({ name: "MirrorError", kind: "connection" });
    expect(transport.openStreams).toBe(0);
  });

  it.each(["UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND", "INVALID_ARGUMENT"] as const)(
    "rejects at once when the server answers %s",
    async (code) => {
      transport.refusal = new TransportError(code, "no such thing");
      await expect(opening()).rejects.toMatchObject({
        kind: "refused",
        message: expect.stringContaining("no such thing"),
      });
      expect(transport.requests).toHaveLength(1);
      expect(clock.pendingTimers).toBe(0);
    },
  );

  it("rejects at once for an address that is none", async () => {
    await expect(openMirror({ address: "ftp://x" })).rejects.toThrow(TypeError);
  });

  it("can be given up", async () => {
    transport.freeze();
    const abort = new AbortController();
    const mirror = opening({ signal: abort.signal });
    await settle();
    abort.abort();
    await expect(mirror).rejects.toMatchObject({ kind: "closed" });
    expect(clock.pendingTimers).toBe(0);
    expect(transport.openStreams).toBe(0);
    await expect(opening({ signal: abort.signal })).rejects.toMatchObject({ kind: "closed" });
  });

  it("is there at once if asked, answers defaults as not ready, and gets ready later", async () => {
    transport.refusal = away;
    const mirror = await opening({ waitForReady: false });
    const events: string[] = [];
    mirror.on("ready", () => events.push("ready"));
    expect(mirror.status).toBe("connecting");
    expect(mirror.boolean("a", false)).toBe(false);
    expect(mirror.details("a", false)).toMatchObject({
      value: false,
      reason: "ERROR",
      errorCode: "PROVIDER_NOT_READY",
    });
    transport.refusal = undefined;
    await clock.advance(5_000);
    expect(events).toEqual(["ready"]);
    expect(mirror.boolean("a", false)).toBe(true);
  });
});

describe("with a cache", () => {
  const keep = async (): Promise<string> => {
    const cache = join(folder, "deep", "mirror.cache");
    const mirror = await opening({ cache });
    await mirror.close();
    transport = new HubTransport(transport.hub);
    return cache;
  };

  it("writes the first snapshot at once, and the rest of a burst together", async () => {
    const saved: Uint8Array[] = [];
    const cache = { load: async () => undefined, save: async (bytes: Uint8Array) => void saved.push(bytes) };
    await opening({ cache });
    await settle();
    expect(saved).toHaveLength(1);
    for (let revision = 2; revision <= 6; revision++) {
      publisher.commit(booleanFlag("a", revision));
      await settle();
    }
    expect(saved).toHaveLength(1);
    await clock.advance(1_000);
    expect(saved).toHaveLength(2);
  });

  it("writes on closing what is not written yet", async () => {
    const cache = join(folder, "mirror.cache");
    const mirror = await opening({ cache });
    publisher.commit(booleanFlag("b", 2));
    await settle();
    await mirror.close();
    transport = new HubTransport(transport.hub);
    transport.refusal = away;
    expect((await opening({ cache })).keys()).toEqual(["a", "b"]);
  });

  it("leaves one file, for its owner only", async () => {
    const cache = await keep();
    expect(await readdir(join(folder, "deep"))).toEqual(["mirror.cache"]);
    expect((await stat(cache)).mode & 0o777).toBe(0o600);
  });

  it("opens at once while the server cannot be reached, as stale, and follows it when it returns", async () => {
    const cache = await keep();
    transport.refusal = away;
    const mirror = await opening({ cache });
    const events: string[] = [];
    mirror.on("ready", () => events.push("ready"));
    mirror.on("change", ({ keys }) => events.push(`change ${keys.join(",")}`));
    expect(mirror.status).toBe("stale");
    expect(mirror.revision).toBe(1);
    expect(mirror.details("a", false)).toMatchObject({ value: true, errorCode: undefined });
    publisher.commit(booleanFlag("b", 2));
    transport.refusal = undefined;
    await clock.advance(5_000);
    expect(mirror.status).toBe("ready");
    expect(events).toEqual(["ready", "change b"]);
    expect(transport.requests.at(-1)?.position?.revision).toBe(1n);
  });

  it("opens after two seconds while the server says nothing", async () => {
    const cache = await keep();
    transport.freeze();
    let isOpen = false;
    const mirror = opening({ cache });
    void mirror.then(() => {
      isOpen = true;
    });
    await expect.poll(() => transport.requests.length).toBe(1);
    await clock.advance(1_999);
    expect(isOpen).toBe(false);
    await clock.advance(1);
    expect((await mirror).status).toBe("stale");
  });

  it("goes on from the kept position while the server is there", async () => {
    const cache = await keep();
    const mirror = await opening({ cache });
    expect(mirror.counts).toMatchObject({ nones: 1, fulls: 0 });
  });

  it("rejects at once all the same when the server refuses", async () => {
    const cache = await keep();
    transport.refusal = new TransportError("UNAUTHENTICATED", "the token is revoked");
    await expect(opening({ cache })).rejects.toMatchObject({ kind: "refused" });
  });

  const damages: readonly [what: string, damage: (content: Buffer) => Buffer][] = [
    ["empty", () => Buffer.alloc(0)],
    ["of something else", () => Buffer.from("hello, world\n")],
    ["cut short", (content) => content.subarray(0, content.length - 1)],
    ["cut within its first line", (content) => content.subarray(0, 30)],
    [
      "of another version",
      (content) => Buffer.from(content.toString("latin1").replace("mirror 2", "mirror 3"), "latin1"),
    ],
    [
      "changed in one bit",
      (content) => {
        const changed = Buffer.from(content);
        changed[changed.length - 3] = (changed[changed.length - 3] ?? 0) ^ 1;
        return changed;
      },
    ],
  ];

  it.each(damages)("ignores one that is %s, and says so", async (_what, damage) => {
    const cache = await keep();
    await writeFile(cache, damage(await readFile(cache)));
    const log: MirrorLogEntry[] = [];
    const mirror = await opening({ cache, log: (entry) => log.push(entry) });
    expect(log[0]).toMatchObject({ level: "warn", message: expect.stringContaining("the cache is ignored") });
    expect(mirror.counts).toMatchObject({ fulls: 1 });
    expect(mirror.status).toBe("ready");
  });

  it("ignores one of another server, and says so", async () => {
    const cache = await keep();
    const elsewhere = new HubTransport(transport.hub);
    Object.assign(elsewhere, { address: "http://elsewhere.test", refusal: away });
    const log: MirrorLogEntry[] = [];
    const mirror = opening({ cache, transport: elsewhere, log: (entry) => log.push(entry) });
    await expect.poll(() => elsewhere.requests.length).toBe(1);
    await clock.advance(10_000);
    await expect(mirror).rejects.toMatchObject({ kind: "connection" });
    expect(log[0]?.message).toContain("the cache is ignored: it is of the server http://hub.test, not");
  });

  it("removes what others left behind when they were killed while saving, and nothing else", async () => {
    const cache = join(folder, "mirror.cache");
    const names = {
      abandoned: `mirror.cache.${randomUUID()}.tmp`,
      pending: `mirror.cache.${randomUUID()}.tmp`,
      foreign: `other.cache.${randomUUID()}.tmp`,
      similar: "mirror.cache.notes.tmp",
    };
    for (const name of Object.values(names)) await writeFile(join(folder, name), "");
    const longAgo = new Date(Date.now() - 3_600_000);
    for (const name of [names.abandoned, names.foreign, names.similar]) {
      await utimes(join(folder, name), longAgo, longAgo);
    }
    await (await opening({ cache })).close();
    const left = (await readdir(folder)).sort();
    expect(left).toEqual(["mirror.cache", names.pending, names.foreign, names.similar].sort());
  });

  const stuck = { load: () => new Promise<undefined>(() => {}), save: async () => {} };

  it("goes on without one that never loads, after ten seconds, and says so", async () => {
    const log: MirrorLogEntry[] = [];
    const mirror = opening({ cache: stuck, log: (entry) => log.push(entry) });
    await clock.advance(9_999);
    expect(transport.requests).toHaveLength(0);
    await clock.advance(1);
    expect((await mirror).boolean("a", false)).toBe(true);
    expect(log[0]?.message).toContain("the cache is ignored: it took longer than 10 s");
  });

  it("can be given up while it loads", async () => {
    const abort = new AbortController();
    const mirror = opening({ cache: stuck, signal: abort.signal });
    await settle();
    abort.abort();
    await expect(mirror).rejects.toMatchObject({ kind: "closed" });
    expect(transport.requests).toHaveLength(0);
    expect(clock.pendingTimers).toBe(0);
  });

  it("ignores one of another environment", async () => {
    const cache = await keep();
    transport.refusal = away;
    const mirror = opening({ cache, environment: "staging" });
    await expect.poll(() => transport.requests.length).toBe(1);
    await clock.advance(10_000);
    await expect(mirror).rejects.toMatchObject({ kind: "connection" });
  });

  it("goes on without where it cannot be written, and says so", async () => {
    const file = join(folder, "file");
    await writeFile(file, "");
    const log: MirrorLogEntry[] = [];
    const mirror = await opening({ cache: join(file, "cache"), log: (entry) => log.push(entry) });
    await expect.poll(() => log.map((entry) => entry.message).join()).toMatch(/the cache cannot be written/);
    expect(mirror.boolean("a", false)).toBe(true);
  });
});

describe("with a bootstrap", () => {
  const file = (): object => {
    const flags = ["x", "y"].flatMap((key) => {
      const { kind } = booleanFlag(key, 5);
      return kind.case === "flag" ? [kind.value] : [];
    });
    const message = create(FlagFileSchema, {
      flags: flags.flatMap(({ flag }) => flag ?? []),
      targetings: flags.flatMap(({ flag, targeting }) =>
        targeting === undefined ? [] : [{ ...targeting, environment: flag?.key === "x" ? "" : "staging" }],
      ),
    });
    return toJson(FlagFileSchema, message) as object;
  };

  it.each([
    [
      "a path",
      async () => {
        const path = join(folder, "flags.json");
        await writeFile(path, JSON.stringify(file()));
        return path;
      },
    ],
    ["an object", async () => file()],
  ])("given as %s, begins with it while the server is away", async (_form, bootstrap) => {
    transport.refusal = away;
    const mirror = await opening({ bootstrap: await bootstrap() });
    expect(mirror.status).toBe("stale");
    expect(mirror.revision).toBe(0);
    expect(mirror.boolean("x", false)).toBe(true);
    expect(mirror.details("y", true)).toMatchObject({ reason: "DISABLED" });
    transport.refusal = undefined;
    await clock.advance(5_000);
    expect(transport.requests.at(-1)?.position).toBeUndefined();
    expect(mirror.keys()).toEqual(["a"]);
  });

  const withoutKeys = (environment: string) => {
    const segments = [{ key: "beta", environment, keysOmitted: true, includedCount: 70_000 }];
    return { ...file(), segments: [...segments, { key: "empty" }] };
  };

  it("ignores one that has a segment without its keys, and says so", async () => {
    transport.refusal = away;
    const log: MirrorLogEntry[] = [];
    const bootstrap = withoutKeys("production");
    const mirror = opening({ bootstrap, log: (entry) => log.push(entry) });
    await expect
      .poll(() => log.map(({ message }) => message).join("\n"))
      .toMatch(/the bootstrap is ignored: segment "beta" .*without its keys \(keysOmitted\).*flagwire export/);
    transport.refusal = undefined;
    await clock.advance(5_000);
    expect((await mirror).keys()).toEqual(["a"]);
  });

  it("begins with one that has such a segment in another environment", async () => {
    transport.refusal = away;
    const mirror = await opening({ bootstrap: withoutKeys("staging") });
    expect(mirror.boolean("x", false)).toBe(true);
  });

  it("ignores one that cannot be read, and says so", async () => {
    const log: MirrorLogEntry[] = [];
    await opening({ bootstrap: join(folder, "missing.json"), log: (entry) => log.push(entry) });
    expect(log[0]?.message).toMatch(/the bootstrap is ignored: .*missing\.json/);
  });
});

it("a mirror that cannot open tells that it was given a bootstrap, and why that is none", async () => {
  transport.refusal = away;
  const opened = openMirror({ transport, clock, connectTimeoutMs: 5_000, bootstrap: join(folder, "missing.json") });
  const outcome = opened.catch((error: unknown) => error);
  await vi.waitFor(() => expect(transport.requests.length).toBeGreaterThan(0));
  await clock.advance(5_000);
  expect(await outcome).toMatchObject({
    kind: "connection",
    message: expect.stringMatching(/The bootstrap is ignored: .*missing\.json/),
  });
});

describe("a time that is none", () => {
  it.each<[string, MirrorOptions]>([
    ["reportUsage.intervalMs must be more than 0 milliseconds", { reportUsage: { intervalMs: 0 } }],
    ["reportUsage.intervalMs must be a number of milliseconds, not NaN", { reportUsage: { intervalMs: Number.NaN } }],
    ["pollIntervalMs must be more than 0 milliseconds", { pollIntervalMs: 0 }],
    ["staleAfterMs must be more than 0 milliseconds", { staleAfterMs: 0 }],
    ["backoff.minMs must be more than 0 milliseconds", { backoff: { minMs: 0 } }],
    ["streamRetryMs must be a number of milliseconds, not -1", { streamRetryMs: -1 }],
    ["connectTimeoutMs must be a number of milliseconds, not 10s", { connectTimeoutMs: "10s" as unknown as number }],
  ])("is refused: %s", async (message, options) => {
    await expect(opening(options)).rejects.toThrow(new TypeError(message));
  });
});
