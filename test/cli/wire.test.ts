import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it, vi } from "vitest";
import { AdminService, type UpdateTargetingRequest } from "../../gen/flagwire/v1/admin_service_pb.js";
import { EvaluationService, type WatchRequest } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { UpdateKind } from "../../gen/flagwire/v1/watch_pb.js";
import { BadRequestSchema, ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { openFakeServer } from "./fake-server.js";
import { runFlagwire, startFlagwire } from "./run-flagwire.js";

describe("a write", () => {
  it("is sent once more, under the same idempotency key, if the server was not available", async () => {
    const requests: UpdateTargetingRequest[] = [];
    await using server = await openFakeServer((router) =>
      router.service(AdminService, {
        updateTargeting(request) {
          requests.push(request);
          if (requests.length === 1) throw new ConnectError("restarting", Code.Unavailable);
          return { revision: 7n };
        },
      }),
    );
    const { exitCode, stdout } = await runFlagwire(["on", "f", "--address", server.address]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "f is on in production (revision 7)\n" });
    expect(requests[0]?.idempotencyKey).toMatch(/^test-/);
    expect(requests[1]?.idempotencyKey).toBe(requests[0]?.idempotencyKey);
  });

  it("carries what its options say, the author and the token", async () => {
    let seen: { request: UpdateTargetingRequest; header: Headers } | undefined;
    await using server = await openFakeServer((router) =>
      router.service(AdminService, {
        updateTargeting(request, { requestHeader }) {
          seen = { request, header: requestHeader };
          return { revision: 0n };
        },
      }),
    );
    const argv = ["off", "f", "--env", "staging", "--comment", "why", "--expected-revision", "12", "--dry-run"];
    const env = { FLAGWIRE_ADDRESS: server.address, FLAGWIRE_TOKEN: "secret" };
    const { stdout } = await runFlagwire(argv, { env, userName: "Åda" });
    expect(stdout).toBe("f is off in staging (dry run: nothing was changed)\n");
    expect(seen?.request).toMatchObject({
      environment: "staging",
      comment: "why",
      expectedRevision: 12n,
      dryRun: true,
      targeting: { flagKey: "f", enabled: false },
      updateMask: { paths: ["enabled"] },
    });
    expect(seen?.header.get("flagwire-author")).toBe("?da");
    expect(seen?.header.get("authorization")).toBe("Bearer secret");
  });
});

describe("a refusal", () => {
  it("names every field on a line, with the option that sets it", async () => {
    await using server = await openFakeServer((router) =>
      router.service(AdminService, {
        createFlag() {
          const violations = [
            { field: "flag.owner", description: "is required" },
            { field: "flag.type", description: "is\u001b[31m required" },
          ];
          throw new ConnectError("flag.owner: is required (and 1 more)", Code.InvalidArgument, undefined, [
            { desc: ErrorInfoSchema, value: { reason: "INVALID_REQUEST", domain: "flagwire" } },
            { desc: BadRequestSchema, value: { fieldViolations: violations } },
          ]);
        },
      }),
    );
    const run = await runFlagwire(["flags", "create", "f", "--json", "--address", server.address]);
    expect(run).toEqual({
      exitCode: 3,
      stdout: "",
      stderr: [
        "flagwire: the server refuses 2 fields of the request; nothing was changed",
        "  --owner (flag.owner): is required",
        "  --type (flag.type): is\\u001b[31m required",
        "",
      ].join("\n"),
    });
  });

  it.each([
    [Code.Unauthenticated, "no; pass --token or set FLAGWIRE_TOKEN"],
    [Code.PermissionDenied, "flagwire: no\n"],
    [Code.Aborted, "flagwire: no\n"],
    [Code.Unimplemented, "does not know this call"],
    [Code.ResourceExhausted, "flagwire: no\n"],
  ])("of any kind is code 3: %i", async (code, message) => {
    await using server = await openFakeServer((router) =>
      router.service(AdminService, {
        updateTargeting() {
          throw new ConnectError("no", code);
        },
      }),
    );
    const { exitCode, stderr } = await runFlagwire(["on", "f", "--address", server.address]);
    expect(exitCode).toBe(3);
    expect(stderr).toContain(message);
  });
});

describe("a connection over TLS", () => {
  it("to a server that speaks clear text is refused with what to do", async () => {
    await using server = await openFakeServer(() => {});
    const address = `https://${server.address}`;
    expect(await runFlagwire(["flags", "list", "--address", address])).toEqual({
      exitCode: 3,
      stdout: "",
      stderr: `flagwire: what listens at ${address} does not speak TLS; name it without https://\n`,
    });
  });
});

describe("a connection that is lost in the middle of a call", () => {
  it.each([
    { argv: ["on", "f"], doubt: true },
    { argv: ["on", "f", "--dry-run"], doubt: false },
    { argv: ["apply", "-f", "-"], doubt: true },
    { argv: ["flags", "list"], doubt: false },
    { argv: ["export"], doubt: false },
  ])("is said, with what it means for a write: $argv", async ({ argv, doubt }) => {
    const cut = async () => {
      server.cut();
      await new Promise(() => {});
      return {};
    };
    await using server = await openFakeServer((router) =>
      router.service(AdminService, {
        listEnvironments: () => ({}),
        updateTargeting: cut,
        listFlags: cut,
        import: cut,
        // biome-ignore lint/correctness/useYield: it is cut before.
        async *export() {
          await cut();
        },
      }),
    );
    const run = await runFlagwire([...argv, "--address", server.address], { stdin: "flags: []" });
    const hint = doubt
      ? '. The write may have been made all the same: see "flagwire history"'
      : `; if it speaks TLS, name it https://${server.address}`;
    expect(run).toEqual({
      exitCode: 3,
      stdout: "",
      stderr: `flagwire: the connection to ${server.address} was lost${hint}\n`,
    });
  });

  it("or an answer that is late leaves no doubt about a read", async () => {
    await using server = await openFakeServer((router) =>
      router.service(AdminService, {
        listFlags() {
          throw new ConnectError("late", Code.DeadlineExceeded);
        },
      }),
    );
    const { stderr } = await runFlagwire(["flags", "list", "--address", server.address]);
    expect(stderr).toBe(`flagwire: no answer from ${server.address} in time; check that it is up\n`);
  });
});

describe("rollout", () => {
  it("plans anew when somebody else changed the flag in between", async () => {
    const keys: string[] = [];
    const expected: (bigint | undefined)[] = [];
    let revision = 10n;
    await using server = await openFakeServer((router) =>
      router.service(AdminService, {
        getFlag: ({ key }) => ({
          flag: {
            key,
            variants: {
              on: { kind: { case: "boolValue", value: true } },
              off: { kind: { case: "boolValue", value: false } },
            },
          },
          revision: revision++,
        }),
        updateTargeting(request) {
          keys.push(request.idempotencyKey);
          expected.push(request.expectedRevision);
          if (keys.length < 3) {
            const value = { reason: "REVISION_CONFLICT", domain: "flagwire" };
            throw new ConnectError("changed since", Code.Aborted, undefined, [{ desc: ErrorInfoSchema, value }]);
          }
          const { targeting } = request;
          if (targeting !== undefined) targeting.enabled = true;
          return targeting === undefined ? {} : { targeting, revision: 20n };
        },
      }),
    );
    const { exitCode, stdout } = await runFlagwire(["rollout", "f", "25%", "--address", server.address]);
    expect({ exitCode, stdout }).toEqual({
      exitCode: 0,
      stdout: "f serves 25% on, 75% off by default in production (revision 20)\n",
    });
    expect(expected).toEqual([10n, 11n, 12n]);
    expect(new Set(keys).size).toBe(3);
  });
});

describe("watch", () => {
  it("puts updates together, goes on from its position after the stream broke, and hides heartbeats", async () => {
    const requests: WatchRequest[] = [];
    const at = (revision: bigint) => ({ epoch: "e", revision });
    await using server = await openFakeServer((router) => {
      router.service(AdminService, { listEnvironments: () => ({}) });
      router.service(EvaluationService, {
        async *watch(request) {
          requests.push(request);
          if (requests.length === 1) {
            const kind = { case: "flag", value: { flag: { key: "a" } } } as const;
            yield { begin: { kind: UpdateKind.FULL }, items: [{ kind }] };
            yield { items: [{ kind: { case: "deletedSegmentKey", value: "s" } }], commit: { position: at(5n) } };
            yield { heartbeat: { position: at(6n) } };
            throw new ConnectError("draining", Code.Unavailable);
          }
          const kind = { case: "deletedFlagKey", value: "a" } as const;
          yield { begin: { kind: UpdateKind.DELTA }, items: [{ kind }], commit: { position: at(7n) } };
          throw new ConnectError("done", Code.PermissionDenied);
        },
      });
    });
    const running = startFlagwire(["watch", "--json", "--address", server.address]);
    const { exitCode, stdout, stderr } = await running.done;
    const events = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(exitCode).toBe(3);
    expect(events).toMatchObject([
      { kind: "full", revision: "5", flags: ["a"], deletedSegments: ["s"] },
      { kind: "delta", revision: "7", deletedFlags: ["a"] },
    ]);
    expect(requests.map(({ position }) => position?.revision)).toEqual([undefined, 6n]);
    expect(stderr).toContain("draining; connecting again");
  });

  it("connects again after the connection was cut, and says both", async () => {
    let streams = 0;
    await using server = await openFakeServer((router) => {
      router.service(AdminService, { listEnvironments: () => ({}) });
      router.service(EvaluationService, {
        async *watch() {
          streams += 1;
          const position = { epoch: "e", revision: BigInt(streams) };
          yield { begin: { kind: UpdateKind.FULL }, commit: { position } };
          await new Promise(() => {});
        },
      });
    });
    const running = startFlagwire(["watch", "--address", server.address]);
    await vi.waitFor(() => expect(running.stdout()).toContain("1 full"), { timeout: 10_000 });
    server.cut();
    await vi.waitFor(() => expect(running.stdout()).toContain("2 full"), { timeout: 10_000 });
    running.interrupt();
    const { exitCode, stderr } = await running.done;
    expect(exitCode).toBe(0);
    expect(stderr).toBe(
      `flagwire: the connection to ${server.address} was lost; connecting again until it is back\n` +
        `flagwire: connected again to ${server.address}\n`,
    );
  });
});
