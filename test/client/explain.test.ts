import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { type EvaluateRequest, EvaluateResponseSchema } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { type Trace, TraceSchema } from "../../gen/flagwire/v1/trace_pb.js";
import { describeTrace, type Mirror, openMirror, openRemote, type RemoteTransport } from "../../src/client/index.js";
import { createWatchHub } from "../../src/watch/index.js";
import { all, any, flag, inSegment, match, not, rule, segment, serve, serveRollout, share } from "../engine/build.js";
import { HubTransport } from "../support/hub-transport.js";
import { Publisher } from "../support/publisher.js";
import { VirtualClock } from "../support/virtual-clock.js";

const isAdult = match("age", Operator.GREATER_OR_EQUAL, [18]);
const items = [
  flag("checkout", {
    prerequisites: [{ flagKey: "payments", variants: ["a", "b"] }],
    targets: [{ variant: "c", targetingKeys: ["user-1", "user-2"] }],
    rules: [
      rule(match("email", Operator.ENDS_WITH, ["@corp.test"], { ignoreCase: true }), "staff"),
      rule(
        all(
          match("plan", Operator.IN, ["pro", "enterprise"]),
          not(inSegment("banned")),
          any(share({ weight: 500 }), isAdult, isAdult),
        ),
        "beta",
        serveRollout({
          shares: [
            { variant: "a", weight: 25_000 },
            { variant: "off", weight: 75_000 },
            { variant: "b", weight: 0 },
          ],
        }),
      ),
    ],
    default: serve("off"),
  }),
  flag("payments", { rules: [rule(inSegment("banned"), "no", serve("off"))] }),
  segment("banned", { excluded: ["user-7"], condition: match("country", Operator.IN, ["XX"]) }),
  flag("killed", { killed: { killedBy: "ann", reason: "it\nfails" } }),
  flag("broken", { default: serve("nope") }),
  flag("needy", { prerequisites: [{ flagKey: "killed", variants: ["a"] }] }),
  flag("mail", { rules: [rule(match("mail", Operator.EXISTS, []))] }),
  flag("everyone", { rules: [rule(all())] }),
];

let mirror: Mirror;

beforeEach(async () => {
  const clock = new VirtualClock();
  const hub = createWatchHub({ clock, random: () => 0.5 });
  new Publisher(hub, items);
  const transport = new HubTransport(hub);
  mirror = await openMirror({ transport, clock, random: () => 0.5, privateAttributes: ["email"] });
});

afterEach(() => mirror.close());

function textOf(trace: Trace | undefined): string {
  if (trace === undefined) throw new Error("there is no trace");
  return describeTrace(trace);
}

describe("an explanation of a mirror", () => {
  it("is the same answer, with its trace", () => {
    const context = { targetingKey: "user-2" };
    const { trace, ...details } = mirror.explain("checkout", "none", context);
    expect(details).toEqual(mirror.details("checkout", "none", context));
    expect(trace?.flags.map(({ flagKey, variant }) => [flagKey, variant])).toEqual([
      ["checkout", "c"],
      ["payments", "a"],
    ]);
  });

  it("has no trace where there is no flag", () => {
    const { errorCode, trace } = mirror.explain("nope", true);
    expect([errorCode, trace]).toEqual(["FLAG_NOT_FOUND", undefined]);
  });

  it("has a trace even where the default is of another type", () => {
    const { errorCode, value, trace } = mirror.explain("checkout", true);
    expect([errorCode, value, trace?.flags[0]?.variant]).toEqual(["TYPE_MISMATCH", true, "off"]);
  });

  it("does not throw where the context does", () => {
    const context = Object.defineProperty({}, "email", {
      get() {
        throw new Error("no");
      },
    });
    expect(mirror.explain("checkout", "mine", context)).toMatchObject({ errorCode: "GENERAL", value: "mine" });
  });

  it("leaves out what the mirror and the caller call private", () => {
    const context = { targetingKey: "user-7", email: "ann@corp.test", plan: "pro" };
    const { trace } = mirror.explain("checkout", "", context, { privateAttributes: ["targetingKey"] });
    const text = textOf(trace);
    expect(text).toContain("email is private");
    expect(text).not.toMatch(/ann@|user-7/);
  });

  const unfit: readonly { readonly options: unknown }[] = [
    { options: "email" },
    { options: ["email", 5] },
    { options: 5 },
    { options: { private: ["plan"] } },
    { options: { privateAttributes: "plan" } },
    { options: { privateAttributes: [""] } },
  ];

  it.each(unfit)("tells nothing where $options is no list of private names", ({ options }) => {
    const explanation = mirror.explain("checkout", "mine", { plan: "secret" }, options as never);
    expect(explanation).toMatchObject({ value: "mine", errorCode: "GENERAL", trace: undefined });
    expect(explanation.errorMessage).toContain("must be a list of names");
  });

  it("takes no options for none", () => {
    expect(mirror.explain("checkout", "", {}, null as never).trace).toBeDefined();
  });

  it("cannot be of a mirror whose private attributes are no list of names", async () => {
    await expect(openMirror({ privateAttributes: "email" as never })).rejects.toThrow(TypeError);
    await expect(openRemote({ privateAttributes: [5] as never })).rejects.toThrow(TypeError);
  });

  it("is not counted as usage", () => {
    mirror.explain("checkout", "", {});
    expect(mirror.takeUsage()).toEqual([]);
  });
});

describe("a trace as text", () => {
  it("is a tree of all steps", () => {
    const { trace } = mirror.explain("checkout", "", { targetingKey: "user-9", plan: "pro", age: 18, email: 5 });
    expect(textOf(trace)).toBe(
      `
checkout → variant off (SPLIT, rule beta)
├─ ✓ enabled
├─ ✓ prerequisite payments must answer a or b: it answers a
│  └─ payments → variant a (DEFAULT)
│     ├─ ✓ enabled
│     ├─ ✗ rule no
│     │  └─ ✗ segment banned: not listed, so by its condition
│     │     └─ ✗ country in "XX": country is missing
│     └─ default: variant a
├─ ✗ targets, none of the 2 listed keys: targetingKey is "user-9"
├─ ✗ rule staff
│  └─ ✗ email ends_with a value (ignoring case): email is private, which is not compared here
└─ ✓ rule beta
   ├─ ✓ all of
   │  ├─ ✓ plan in ["pro", "enterprise"]: plan is "pro"
   │  ├─ ✓ not
   │  │  └─ ✗ segment banned: not listed, so by its condition
   │  └─ ✓ any of
   │     ├─ ✗ 0.5 % of callers, buckets 0 to 499: bucket 82092 of 100000, from the hash 3525837782 of "checkoutuser-9"
   │     ├─ ✓ age greater_or_equal 18: age is 18
   │     └─ 1 more, not looked at
   └─ → rollout: bucket 82092 of 100000, from the hash 3525837782 of "checkoutuser-9"
      ├─ ✗ 25 % a: buckets 0 to 24999
      ├─ ✓ 75 % off: buckets 25000 to 99999
      └─ ✗ 0 % b: no buckets`.trim(),
    );
  });

  it("says why a flag is not followed, without breaking lines", () => {
    expect(textOf(mirror.explain("killed", "").trace)).toBe(
      "killed → variant off (KILLED)\n└─ ✗ killed by ann: it\\nfails → off variant off",
    );
    expect(textOf(mirror.explain("broken", "").trace)).toBe(
      [
        "broken → no value (MALFORMED_FLAG)",
        "└─ malformed",
        '   └─ targeting.default.variant: the flag has no variant "nope"',
      ].join("\n"),
    );
  });

  it("says who killed a prerequisite, and that a condition of nothing holds for everyone", () => {
    const text = textOf(mirror.explain("needy", "").trace);
    expect(text).toContain("✗ prerequisite killed must answer a: it is killed by ann: it\\nfails");
    expect(textOf(mirror.explain("everyone", "").trace)).toContain("✓ everyone: all of no conditions");
  });

  it("escapes what would turn text around or hide in it", () => {
    const email = "a\u202eb\u200f\ufeff\u2066c";
    const { trace } = mirror.explain("mail", "", { mail: email });
    expect(textOf(trace)).toContain('mail is "a\\u202eb\\u200f\\ufeff\\u2066c"');
  });

  it("says what a rollout cannot hash", () => {
    const { trace } = mirror.explain("checkout", "", { plan: "pro", age: 18 });
    const text = textOf(trace);
    expect(text).toContain("checkout → no value (TARGETING_KEY_MISSING, rule beta)");
    expect(text).toContain("→ rollout: nothing to hash, for targetingKey is missing");
  });

  it("is empty for an empty trace", () => {
    expect(describeTrace(create(TraceSchema))).toBe("");
  });
});

describe("an explanation of a remote", () => {
  const requests: EvaluateRequest[] = [];
  const trace = create(TraceSchema, { flags: [{ flagKey: "f" }] });
  const transport: RemoteTransport = {
    address: "http://remote.test",
    async evaluate(request) {
      requests.push(request);
      return create(EvaluateResponseSchema, { flagKey: "f", reason: "DISABLED", trace });
    },
    async close() {},
  };

  it("asks the server for a trace, and tells it what is private", async () => {
    await using remote = await openRemote({ transport, privateAttributes: ["email"] });
    const context = { targetingKey: "u1", email: "ann" };
    const explanation = await remote.explain("f", 1, context, { privateAttributes: ["plan"] });
    expect(explanation).toMatchObject({ value: 1, reason: "DISABLED", trace });
    expect(requests[0]).toMatchObject({ explain: true, context: { privateAttributes: ["email", "plan"] } });
    const nothing = await remote.explain("f", 1, context, { privateAttributes: "plan" } as never);
    expect(nothing).toMatchObject({ errorCode: "GENERAL", trace: undefined });
    expect(requests).toHaveLength(1);
    expect(await remote.details("f", 1)).not.toHaveProperty("trace");
    expect(requests[1]).toMatchObject({ explain: false, context: { privateAttributes: [] } });
  });
});
