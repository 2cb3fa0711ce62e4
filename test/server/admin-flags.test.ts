import { beforeEach, describe, expect, it } from "vitest";
import { FlagKind, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import {
  boolean,
  booleanFlag,
  everyone,
  expectRefused,
  invalid,
  number,
  openServer,
  type RestartableServer,
  refusalOf,
  refused,
  revisionOf,
  rule,
  serve,
  stringFlag,
  text,
} from "./admin-support.js";

let server: RestartableServer;
beforeEach(async () => {
  server = await openServer();
});

const at = (iso: string) => ({ seconds: BigInt(Date.parse(iso) / 1_000), nanos: 0 });

describe("a new flag", () => {
  it("is answered, and read, as it was asked for, with its creator and revision", async () => {
    const { admin } = server;
    const asked = stringFlag("checkout.button-colour_2", ["red", "blue"], {
      kind: FlagKind.EXPERIMENT,
      description: "Which colour sells.",
      owner: "team-checkout",
      tags: ["checkout", "web"],
      ticket: "https://issues.example/7",
      expiresAt: at("2030-01-01T00:00:00Z"),
      metadata: { team: "checkout", priority: 2, internal: true },
    });
    const created = await admin.createFlag({ flag: asked }, { headers: { "flagwire-author": "ada" } });
    expect(created.flag).toMatchObject({ ...asked, createdBy: "ada", changedBy: "ada", revision: created.revision });
    expect(created.flag?.createdAt).toEqual(created.flag?.changedAt);
    const read = await admin.getFlag({ key: "checkout.button-colour_2" });
    expect(read.flag).toEqual(created.flag);
    expect(read.revision).toBe(created.revision);
  });

  it("is off everywhere, and a boolean one knows what on and off would be", async () => {
    const { admin } = server;
    await admin.createEnvironment({ environment: { name: "staging" } });
    await admin.createFlag({ flag: booleanFlag("a", { variants: { no: boolean(false), yes: boolean(true) } }) });
    await admin.createFlag({ flag: stringFlag("b", ["x"]) });
    const { targetings } = await admin.getFlag({ key: "a" });
    expect(targetings.map(({ environment }) => environment)).toEqual(["production", "staging"]);
    for (const targeting of targetings) {
      expect(targeting).toMatchObject({ enabled: false, offVariant: "no", default: serve("yes") });
    }
    const text = await admin.getTargeting({ flagKey: "b" });
    expect(text.targeting).toMatchObject({ enabled: false, offVariant: "" });
    expect(text.targeting?.default).toBeUndefined();
  });

  it("can bring its settings along, for every environment", async () => {
    const { admin } = server;
    await admin.createEnvironment({ environment: { name: "staging" } });
    const targeting = { enabled: true, offVariant: "off", rules: [rule(everyone, "on")], killed: { reason: "r" } };
    await admin.createFlag({ flag: booleanFlag("a"), targeting });
    const { targetings } = await admin.getFlag({ key: "a" });
    expect(targetings).toHaveLength(2);
    for (const kept of targetings) {
      expect(kept).toMatchObject({ enabled: true, offVariant: "off", rules: [{ id: "rule-1" }] });
      expect(kept.killed).toBeUndefined();
    }
  });

  it("with wrong settings is refused once, however many environments there are", async () => {
    await server.admin.createEnvironment({ environment: { name: "staging" } });
    const create = () =>
      server.admin.createFlag({ flag: booleanFlag("a"), targeting: { offVariant: "never", default: serve("none") } });
    const { fields } = await refusalOf(create());
    expect([...fields].sort()).toEqual(["targeting.default.variant", "targeting.off_variant"]);
  });

  it("cannot have the key of another flag", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    const create = () => server.admin.createFlag({ flag: stringFlag("a", ["x"]) });
    await expectRefused(server, create, refused("AlreadyExists", "FLAG_EXISTS"));
  });

  it("is required in the request", async () => {
    await expectRefused(server, () => server.admin.createFlag({}), invalid("flag"));
  });

  it.each([
    ["empty", ""],
    ["with a space", "new checkout"],
    ["with a slash", "team/new"],
    ["not in ASCII", "größe"],
    ["with a line feed", "a\n"],
    ["with a NUL", "a\0b"],
    ["of 129 characters", "k".repeat(129)],
  ])("cannot have a key that is %s", async (_what, key) => {
    await expectRefused(server, () => server.admin.createFlag({ flag: booleanFlag(key) }), invalid("flag.key"));
  });

  it.each(["k".repeat(128), "__proto__", "constructor", "toString", "-", "..", "0"])(
    "may have the key %s",
    async (key) => {
      const targeting = { enabled: true, default: serve("on") };
      await server.admin.createFlag({ flag: booleanFlag(key), targeting });
      expect((await server.admin.getFlag({ key })).flag?.key).toBe(key);
      expect((await server.evaluation.evaluate({ flagKey: key })).variant).toBe("on");
      const { evaluations } = await server.evaluation.bulkEvaluate({});
      expect(evaluations.map(({ flagKey }) => flagKey)).toEqual([key]);
    },
  );
});

describe("a flag's kind", () => {
  it.each([FlagKind.RELEASE, FlagKind.EXPERIMENT])("%i needs an owner and an expiry, named at once", async (kind) => {
    const create = () => server.admin.createFlag({ flag: booleanFlag("a", { kind }) });
    await expectRefused(server, create, invalid("flag.expires_at", "flag.owner"));
  });

  it.each([FlagKind.OPERATIONAL, FlagKind.PERMISSION])("%i needs neither owner nor expiry", async (kind) => {
    await server.admin.createFlag({ flag: booleanFlag("a", { kind }) });
  });

  it("is required, and named beside everything else that is missing", async () => {
    await expectRefused(
      server,
      () => server.admin.createFlag({ flag: {} }),
      invalid("flag.key", "flag.kind", "flag.type", "flag.variants"),
    );
  });

  it("must be one that this version knows, and so must the type", async () => {
    const create = () =>
      server.admin.createFlag({ flag: booleanFlag("a", { kind: 99 as FlagKind, type: 99 as FlagType }) });
    await expectRefused(server, create, invalid("flag.kind", "flag.type"));
  });
});

describe("a variant's value", () => {
  it.each([
    ["a string", FlagType.BOOLEAN, text("true")],
    ["a number", FlagType.STRING, number(1)],
    ["null", FlagType.STRING, { kind: { case: "nullValue" as const, value: 0 as const } }],
    ["nothing", FlagType.STRING, {}],
    ["no number", FlagType.NUMBER, number(Number.NaN)],
    ["infinite", FlagType.NUMBER, number(Number.POSITIVE_INFINITY)],
    ["a list", FlagType.OBJECT, { kind: { case: "listValue" as const, value: { values: [] } } }],
  ])("that is %s is refused in a flag of another type", async (_what, type, value) => {
    const flag = { key: "a", type, kind: FlagKind.OPERATIONAL, variants: { wrong: value, "wrong too": value } };
    const expected = invalid('flag.variants["wrong too"]', 'flag.variants["wrong"]');
    await expectRefused(server, () => server.admin.createFlag({ flag }), expected);
  });

  it("may be an object of any shape, names that JavaScript has plans for included", async () => {
    const value = JSON.parse('{"__proto__":{"x":1},"constructor":[null,{"toString":false}],"":"" }');
    const flag = { key: "a", type: "FLAG_TYPE_OBJECT", kind: "FLAG_KIND_OPERATIONAL", variants: { __proto__x: value } };
    const body = JSON.stringify({ flag, targeting: { enabled: true, default: { variant: "__proto__" } } });
    const created = await server.json("flagwire.v1.AdminService/CreateFlag", body.replace("__proto__x", "__proto__"));
    expect(created.status).toBe(200);
    const answer = await fetch(`http://${server.address}/flagwire.v1.EvaluationService/Evaluate`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"flagKey":"a"}',
    });
    const answered = await answer.text();
    expect(answered).toContain('"variant":"__proto__"');
    expect(answered).toContain(JSON.stringify(value));
  });

  it("that UTF-8 cannot hold is refused, wherever it stands", async () => {
    const create = (members: string) =>
      server.json(
        "flagwire.v1.AdminService/CreateFlag",
        `{"flag":{"key":"a","type":"FLAG_TYPE_STRING","kind":"FLAG_KIND_OPERATIONAL",${members}}}`,
      );
    for (const [members, field] of [
      ['"variants":{"v":"\\ud800"}', 'flag.variants["v"]'],
      ['"variants":{"v":"v"},"metadata":{"m":"\\udfff"}', 'flag.metadata["m"]'],
      ['"variants":{"v":"v"},"metadata":{"\\ud800":1}', "flag.metadata"],
    ] as const) {
      const { status, body } = await create(members);
      expect(status).toBe(400);
      expect(JSON.stringify(body)).toContain(JSON.stringify(field).slice(1, -1));
    }
    expect((await create('"variants":{"v":"\\ud83d\\ude00"}')).status).toBe(200);
  });
});

describe("each limit of a flag", () => {
  const many = (count: number, name = "n") => Array.from({ length: count }, (_, index) => `${name}${index}`);

  it.each<[string, object, string[]]>([
    ["257 variants", stringFlag("a", many(257)), ["flag.variants"]],
    ["a variant of 129 characters", stringFlag("a", ["v".repeat(129)]), [`flag.variants["${"v".repeat(129)}"]`]],
    ["a variant without a name", stringFlag("a", [""]), ['flag.variants[""]']],
    ["a control character in a variant", stringFlag("a", ["v\u0007"]), ['flag.variants["v\\u0007"]']],
    ["a description of 4,097 characters", booleanFlag("a", { description: "d".repeat(4_097) }), ["flag.description"]],
    ["an owner of 257 characters", booleanFlag("a", { owner: "o".repeat(257) }), ["flag.owner"]],
    ["a ticket of 1,025 characters", booleanFlag("a", { ticket: "t".repeat(1_025) }), ["flag.ticket"]],
    ["65 tags", booleanFlag("a", { tags: many(65) }), ["flag.tags"]],
    ["a tag twice", booleanFlag("a", { tags: ["x", "y", "x", "x"] }), ["flag.tags"]],
    [
      "tags that are empty or too long",
      booleanFlag("a", { tags: ["", "t".repeat(129)] }),
      ["flag.tags[0]", "flag.tags[1]"],
    ],
    [
      "65 entries of metadata",
      booleanFlag("a", { metadata: Object.fromEntries(many(65).map((key) => [key, 1])) }),
      ["flag.metadata"],
    ],
    [
      "metadata of other types",
      booleanFlag("a", { metadata: { list: [], none: null, object: {} } }),
      ['flag.metadata["list"]', 'flag.metadata["none"]', 'flag.metadata["object"]'],
    ],
    [
      "an expiry beyond the year 9999",
      booleanFlag("a", { expiresAt: { seconds: 253_402_300_800n } }),
      ["flag.expires_at"],
    ],
    [
      "an expiry with a negative fraction",
      booleanFlag("a", { expiresAt: { seconds: 1n, nanos: -1 } }),
      ["flag.expires_at"],
    ],
  ])("is answered by the field's name: %s", async (_what, flag, fields) => {
    await expectRefused(server, () => server.admin.createFlag({ flag }), invalid(...fields));
  });

  it("can be reached", async () => {
    const flag = stringFlag("a", many(255), {
      description: "d".repeat(4_096),
      owner: "o".repeat(256),
      ticket: "t".repeat(1_024),
      tags: many(64, "t".repeat(126)),
      expiresAt: { seconds: 253_402_300_799n, nanos: 999_999_999 },
      metadata: Object.fromEntries(many(64).map((key) => [key, "v"])),
    });
    flag.variants = { ...flag.variants, ["v".repeat(128)]: text("") };
    await server.admin.createFlag({ flag });
    expect((await server.json("flagwire.v1.AdminService/GetFlag", { key: "a" })).status).toBe(200);
  });

  it("holds for the fields that every write has", async () => {
    const create = () =>
      server.admin.createFlag({
        flag: booleanFlag("a"),
        comment: "c".repeat(1_025),
        idempotencyKey: "i".repeat(129),
      });
    await expectRefused(server, create, invalid("comment", "idempotency_key"));
  });
});

describe("the list of flags", () => {
  it("is sorted by key and pairs each flag with its settings in the environment", async () => {
    const { admin } = server;
    await admin.createEnvironment({ environment: { name: "staging" } });
    for (const key of ["b", "a", "B", "a.b"]) await admin.createFlag({ flag: booleanFlag(key) });
    await admin.updateTargeting({ environment: "staging", targeting: { flagKey: "a", enabled: true } });
    const staging = await admin.listFlags({ environment: "staging" });
    expect(staging.flags.map(({ key }) => key)).toEqual(["B", "a", "a.b", "b"]);
    expect(staging.targetings.map(({ flagKey }) => flagKey)).toEqual(["B", "a", "a.b", "b"]);
    expect(staging.targetings.map(({ enabled }) => enabled)).toEqual([false, true, false, false]);
    const production = await admin.listFlags({});
    expect(production.targetings.every(({ enabled }) => !enabled)).toBe(true);
    expect(production.nextPageToken).toBe("");
  });

  it("comes in pages of the size asked for", async () => {
    const { admin } = server;
    for (const key of ["a", "b", "c", "d", "e"]) await admin.createFlag({ flag: booleanFlag(key) });
    const pages: string[][] = [];
    let pageToken = "";
    do {
      const page = await admin.listFlags({ pageSize: 2, pageToken });
      pages.push(page.flags.map(({ key }) => key));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(pages).toEqual([["a", "b"], ["c", "d"], ["e"]]);
    const whole = await admin.listFlags({ pageSize: 5 });
    expect([whole.flags.length, whole.nextPageToken]).toEqual([5, ""]);
  });

  it("comes in smaller pages where flags are large", async () => {
    const { admin } = server;
    const variants = { v: text("x".repeat(400_000)) };
    for (const key of ["a", "b", "c", "d", "e"]) await admin.createFlag({ flag: stringFlag(key, [], { variants }) });
    const first = await admin.listFlags({});
    expect(first.flags.map(({ key }) => key)).toEqual(["a", "b"]);
    const rest = await admin.listFlags({ pageToken: first.nextPageToken });
    expect(rest.flags.map(({ key }) => key)).toEqual(["c", "d"]);
  });

  it("can be of one tag, across pages", async () => {
    const { admin } = server;
    for (const key of ["a", "b", "c", "d"])
      await admin.createFlag({ flag: booleanFlag(key, { tags: key === "b" ? [] : ["t"] }) });
    const first = await admin.listFlags({ tag: "t", pageSize: 2 });
    expect(first.flags.map(({ key }) => key)).toEqual(["a", "c"]);
    const second = await admin.listFlags({ tag: "t", pageSize: 2, pageToken: first.nextPageToken });
    expect(second.flags.map(({ key }) => key)).toEqual(["d"]);
    expect((await admin.listFlags({ tag: "T" })).flags).toEqual([]);
  });

  it("refuses pages above the limit and environments that do not exist", async () => {
    const { admin } = server;
    expect(await refusalOf(admin.listFlags({ pageSize: 1_001 }))).toMatchObject(invalid("page_size"));
    const unknown = await refusalOf(admin.listFlags({ environment: "nowhere" }));
    expect(unknown).toMatchObject(refused("NotFound", "ENVIRONMENT_NOT_FOUND"));
  });
});

describe("a change of a flag", () => {
  it("without a mask replaces all that can change", async () => {
    const { admin } = server;
    const created = await admin.createFlag(
      { flag: booleanFlag("a", { description: "old", tags: ["t"], owner: "o", metadata: { m: 1 } }) },
      { headers: { "flagwire-author": "ada" } },
    );
    const changed = await admin.updateFlag(
      { flag: booleanFlag("a", { description: "new" }) },
      { headers: { "flagwire-author": "bob" } },
    );
    expect(changed.flag).toMatchObject({ description: "new", tags: [], owner: "", createdBy: "ada", changedBy: "bob" });
    expect(changed.flag?.metadata).toBeUndefined();
    expect(changed.flag?.createdAt).toEqual(created.flag?.createdAt);
    expect(changed.flag?.revision).toBe(created.revision + 1n);
  });

  it("with a mask changes the named fields only, and can clear them", async () => {
    const { admin } = server;
    await admin.createFlag({ flag: booleanFlag("a", { description: "old", tags: ["t"], owner: "o" }) });
    const { flag } = await admin.updateFlag({
      flag: { key: "a", description: "new", owner: "ignored" },
      updateMask: { paths: ["description", "tags"] },
    });
    expect(flag).toMatchObject({ description: "new", tags: [], owner: "o", kind: FlagKind.OPERATIONAL });
    expect(Object.keys(flag?.variants ?? {}).sort()).toEqual(["off", "on"]);
  });

  it("names every path of the mask that cannot be changed", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    const paths = ["key", "type", "revision", "created_by", "variants.on", "nothing"];
    const update = () => server.admin.updateFlag({ flag: { key: "a" }, updateMask: { paths } });
    const fields = paths.map((_, index) => `update_mask.paths[${index}]`);
    await expectRefused(server, update, invalid(...fields));
    const empty = () => server.admin.updateFlag({ flag: { key: "a" }, updateMask: {} });
    await expectRefused(server, empty, invalid("update_mask.paths"));
  });

  it("is checked like a new flag", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    const update = () =>
      server.admin.updateFlag({ flag: { key: "a", kind: FlagKind.RELEASE }, updateMask: { paths: ["kind"] } });
    await expectRefused(server, update, invalid("flag.expires_at", "flag.owner"));
  });

  it("that changes nothing makes no revision", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    const before = await revisionOf(server);
    const { revision, flag } = await server.admin.updateFlag({ flag: booleanFlag("a", { createdBy: "somebody" }) });
    expect([revision, flag?.revision]).toEqual([before, before]);
  });

  it("cannot be of its type", async () => {
    await server.admin.createFlag({ flag: booleanFlag("a") });
    const update = () => server.admin.updateFlag({ flag: stringFlag("a", ["on", "off"]) });
    await expectRefused(server, update, refused("FailedPrecondition", "TYPE_CHANGED", "flag.type"));
  });

  it("of a flag that does not exist is refused", async () => {
    const update = () => server.admin.updateFlag({ flag: booleanFlag("a") });
    await expectRefused(server, update, refused("NotFound", "FLAG_NOT_FOUND"));
  });

  it("that is only tried changes nothing, and answers revision 0", async () => {
    const { admin } = server;
    await admin.createFlag({ flag: booleanFlag("a") });
    const before = await revisionOf(server);
    const tried = await admin.updateFlag({ flag: booleanFlag("a", { description: "new" }), dryRun: true });
    expect([tried.revision, tried.flag?.description]).toEqual([0n, "new"]);
    const same = await admin.updateFlag({ flag: booleanFlag("a"), dryRun: true });
    expect(same.revision).toBe(0n);
    expect(await revisionOf(server)).toBe(before);
    const wrong = () => admin.updateFlag({ flag: booleanFlag("a", { variants: {} }), dryRun: true });
    expect((await refusalOf(wrong())).code).not.toBe("Ok");
  });
});

describe("a variant that is in use", () => {
  const withoutSpare = stringFlag("a", ["one"]);
  const inUse = (field: string) => refused("FailedPrecondition", "VARIANT_IN_USE", field);

  it.each<[string, object, string]>([
    ["the off variant", { offVariant: "spare" }, "targeting.off_variant"],
    ["the default", { default: serve("spare") }, "targeting.default.variant"],
    ["a rule", { rules: [rule(everyone, "one"), rule(everyone, "spare")] }, "targeting.rules[1].serve.variant"],
    ["a target", { targets: [{ variant: "spare", targetingKeys: ["u"] }] }, "targeting.targets[0].variant"],
    [
      "a rollout, even with no weight",
      {
        default: {
          kind: {
            case: "rollout",
            value: {
              shares: [
                { variant: "one", weight: 1 },
                { variant: "spare", weight: 0 },
              ],
            },
          },
        },
      },
      "targeting.default.rollout.shares[1].variant",
    ],
  ])("as %s cannot be removed", async (_what, targeting, field) => {
    const { admin } = server;
    await admin.createFlag({ flag: stringFlag("a", ["one", "spare"]) });
    await admin.updateTargeting({ targeting: { flagKey: "a", ...targeting } });
    await expectRefused(server, () => admin.updateFlag({ flag: withoutSpare }), inUse(field));
    await admin.updateTargeting({ targeting: { flagKey: "a" } });
    await admin.updateFlag({ flag: withoutSpare });
  });

  it("in another environment only cannot be removed either, and that one is named", async () => {
    const { admin } = server;
    await admin.createEnvironment({ environment: { name: "staging" } });
    await admin.createFlag({ flag: stringFlag("a", ["one", "spare"]) });
    await admin.updateTargeting({ environment: "staging", targeting: { flagKey: "a", offVariant: "spare" } });
    const error = await expectRefused(
      server,
      () => admin.updateFlag({ flag: withoutSpare }),
      inUse("targeting.off_variant"),
    );
    expect(error.rawMessage).toContain("staging");
  });

  it("by another flag's prerequisite cannot be removed", async () => {
    const { admin } = server;
    await admin.createFlag({ flag: stringFlag("a", ["one", "spare"]) });
    await admin.createFlag({ flag: booleanFlag("b") });
    await admin.updateTargeting({
      targeting: { flagKey: "b", prerequisites: [{ flagKey: "a", variants: ["one", "spare"] }] },
    });
    const error = await expectRefused(
      server,
      () => admin.updateFlag({ flag: withoutSpare }),
      inUse("targeting.prerequisites[0].variants[1]"),
    );
    expect(error.rawMessage).toContain("flag b");
  });
});

describe("a deleted flag", () => {
  it("is gone with its settings, and asking for it says so", async () => {
    const { admin, evaluation } = server;
    await admin.createFlag({ flag: booleanFlag("a") });
    const before = await revisionOf(server);
    expect((await admin.deleteFlag({ key: "a" })).revision).toBe(before + 1n);
    for (const call of [
      () => admin.getFlag({ key: "a" }),
      () => admin.getTargeting({ flagKey: "a" }),
      () => admin.deleteFlag({ key: "a" }),
      () => evaluation.evaluate({ flagKey: "a" }),
    ]) {
      await expectRefused(server, call, refused("NotFound", "FLAG_NOT_FOUND"));
    }
    expect((await admin.listFlags({})).flags).toEqual([]);
  });

  it("keeps its key reserved until somebody takes it by force", async () => {
    const { admin } = server;
    await admin.createFlag({ flag: booleanFlag("a") });
    await admin.deleteFlag({ key: "a" });
    const again = () => admin.createFlag({ flag: stringFlag("a", ["x"]) });
    await expectRefused(server, again, refused("FailedPrecondition", "KEY_RESERVED", "flag.key"));
    const taken = await admin.createFlag({ flag: stringFlag("a", ["x"]), force: true });
    expect(taken.flag?.type).toBe(FlagType.STRING);
    await admin.deleteFlag({ key: "a" });
    await expectRefused(server, again, refused("FailedPrecondition", "KEY_RESERVED", "flag.key"));
  });

  it("must not be another flag's prerequisite, in any environment", async () => {
    const { admin } = server;
    await admin.createEnvironment({ environment: { name: "staging" } });
    for (const key of ["a", "b"]) await admin.createFlag({ flag: booleanFlag(key) });
    const prerequisites = [{ flagKey: "a", variants: ["on"] }];
    await admin.updateTargeting({ environment: "staging", targeting: { flagKey: "b", prerequisites } });
    const error = await expectRefused(
      server,
      () => admin.deleteFlag({ key: "a" }),
      refused("FailedPrecondition", "FLAG_IN_USE", "targeting.prerequisites[0].flag_key"),
    );
    expect(error.rawMessage).toMatch(/flag b .*staging/);
    await admin.deleteFlag({ key: "b" });
    await admin.deleteFlag({ key: "a" });
  });
});
