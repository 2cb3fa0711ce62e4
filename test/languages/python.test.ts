import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { serve, serveRollout } from "../engine/build.js";
import { missingOfPython } from "../examples/available.js";
import { createFlags, enabled, eventually, flagOf } from "../flagd-services/evaluation-support.js";
import { openTestServer, type TestServer } from "../support/server.js";
import { type AskedProgram, type Question, runAskedProgram } from "./asked-program.js";

// OpenFeature's providers for Python, as their users have them, ask this server: flagd's by RPC and in process, and OFREP's.

const FOLDER = "test/languages/python";
const missing = missingOfPython(FOLDER);
const why = missing === undefined ? "" : ` (skipped: ${missing})`;

const KINDS = ["rpc", "in-process", "ofrep"] as const;
type Kind = (typeof KINDS)[number];

/** By type, and so that no variant has it. */
const DEFAULTS = { string: "mine", integer: -1, float: -1.5, object: { is: "mine" } };

function question(key: string, type: Question["type"], context: Question["context"] = {}): Question {
  return { key, type, default: type === "boolean" ? true : DEFAULTS[type], context };
}

const TABLE: readonly Question[] = [
  question("bool", "boolean"),
  question("text", "string"),
  question("fraction", "float"),
  question("negative", "float"),
  question("whole", "integer"),
  question("object", "object"),
  question("off", "boolean"),
  question("off-bare", "boolean"),
  question("killed", "boolean"),
  question("killed-bare", "boolean"),
  question("without-default", "boolean"),
  question("targeted", "string"),
  question("targeted", "string", { targetingKey: "u", plan: "gold" }),
  question("split", "boolean", { targetingKey: "u" }),
  question("needs", "string"),
  question("needs-bare", "boolean"),
];

const SHARES = ["a", "b", "c"].map((variant, index) => ({ variant, weight: index + 1 }));
const USERS = Array.from({ length: 200 }, (_, index) => `user-${index}`);

describe.skipIf(missing !== undefined)(`OpenFeature's clients in Python${why}`, () => {
  let path: string;
  let server: TestServer;
  let program: AskedProgram;

  beforeAll(async () => {
    path = await mkdtemp(join(tmpdir(), "flagwire-python-"));
    server = await openTestServer({ path });
    await createFlags(server);
    const { admin } = server;
    await admin.createFlag({ flag: flagOf("followed", { a: "A", b: "B" }), targeting: enabled("a") });
    const shares = { enabled: true, default: serveRollout({ shares: SHARES }) };
    await admin.createFlag({ flag: flagOf("shared", { a: "A", b: "B", c: "C" }), targeting: shares });
    await admin.createEnvironment({ environment: { name: "staging" } });
    await admin.updateTargeting({ targeting: { flagKey: "text", environment: "staging", ...enabled("b") } });
    program = runAskedProgram(join(FOLDER, ".venv/bin/python"), [join(FOLDER, "ask.py")]);
    for (const kind of KINDS) await open(kind, kind);
  });
  afterAll(async () => {
    await program[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await rm(path, { recursive: true, force: true });
  });

  /** A client with the options that its users have for this. */
  async function open(name: string, kind: Kind, options: object = {}, { address } = server): Promise<void> {
    if (kind === "ofrep") return program.open(name, kind, { base_url: `http://${address}`, ...options });
    const [host, port] = address.split(":");
    const patient = { deadline_ms: 10_000, retry_backoff_ms: 50, retry_backoff_max_ms: 100 };
    const to = { host, port: Number(port), resolver_type: kind };
    await program.open(name, "flagd", { ...to, ...patient, ...options });
  }

  async function ask(name: string, ...questions: readonly Question[]) {
    return (await program.ask(name, questions)).answers;
  }

  /** What Evaluate answers, with the caller's default in the place of no value. */
  async function evaluate({ key: flagKey, context: { targetingKey = "", ...attributes }, ...asked }: Question) {
    const context = { targetingKey: String(targetingKey), attributes: attributes as Record<string, string> };
    const { value, variant } = await server.evaluation.evaluate({ flagKey, context });
    return {
      key: flagKey,
      value: value === undefined ? asked.default : toJson(ValueSchema, value),
      variant: variant || null,
    };
  }

  it.each(KINDS)("have the value and the variant that Evaluate answers: %s", async (kind) => {
    const answers = await ask(kind, ...TABLE);
    const said = answers.map(({ value, variant }, index) => ({ key: TABLE[index]?.key, value, variant }));
    expect(said).toEqual(await Promise.all(TABLE.map(evaluate)));
  });

  it.each(KINDS)("have the error code of what is missing or of another type: %s", async (kind) => {
    const answers = await ask(kind, question("nowhere", "boolean"), question("object", "string"));
    expect(answers).toMatchObject([
      { value: true, error: "FLAG_NOT_FOUND" },
      { value: "mine", error: "TYPE_MISMATCH" },
    ]);
  });

  it("have an off variant, by OFREP too, of which they understand no reason but OpenFeature's", async () => {
    expect(await ask("ofrep", question("killed", "boolean"), question("needs", "string"))).toMatchObject([
      { value: false, variant: "off", reason: "DISABLED", error: null },
      { value: "B", variant: "b", reason: "DISABLED", error: null },
    ]);
  });

  it.each(["in-process", "ofrep"])("have a flag's metadata: %s", async (kind) => {
    expect(await ask(kind, question("bool", "boolean"))).toMatchObject([{ metadata: { team: "web", level: 2 } }]);
  });

  it("have the share that Evaluate gives each of 200 users, by RPC and OFREP", async () => {
    const questions = USERS.map((targetingKey) => question("shared", "string", { targetingKey }));
    const expected = (await Promise.all(questions.map(evaluate))).map(({ variant }) => variant);
    expect(new Set(expected).size).toBe(SHARES.length);
    for (const kind of ["rpc", "ofrep"]) {
      expect(
        (await ask(kind, ...questions)).map(({ variant }) => variant),
        kind,
      ).toEqual(expected);
    }
  });

  it("have an error in process, and no other share, because they bucket by flagd's third version", async () => {
    const [said] = await ask("in-process", question("shared", "string", { targetingKey: "user-1" }));
    expect(said).toMatchObject({ value: "mine", variant: null, error: "GENERAL" });
    expect(said?.message).toContain("this client buckets otherwise than the server: use RPC or OFREP");
  });

  it("answer anew when a flag changes, and tell of it", async () => {
    const followed = question("followed", "string");
    expect(await ask("rpc", followed)).toMatchObject([{ value: "A" }]);
    await eventually(async () => (await ask("rpc", followed))[0]?.reason).toBe("CACHED");
    for (const kind of KINDS) await program.ask(kind, []);
    await server.admin.updateTargeting({
      targeting: { flagKey: "followed", environment: "production", enabled: true, default: serve("b") },
    });
    for (const kind of KINDS) {
      const heard: string[] = [];
      await eventually(async () => {
        const { answers, events } = await program.ask(kind, [followed]);
        heard.push(...events.flatMap(({ keys }) => keys));
        return answers[0]?.value;
      }).toBe("B");
      if (kind !== "ofrep") expect(heard, kind).toContain("followed");
    }
  });

  it("ask the environment that their selector names", async () => {
    await open("staging-rpc", "rpc", { selector: "flagSetId=staging" });
    await open("staging-in-process", "in-process", { selector: "flagSetId=staging" });
    await open("staging-ofrep", "ofrep", { headers: { "flagwire-environment": "staging" } });
    for (const kind of KINDS) {
      expect(await ask(`staging-${kind}`, question("text", "string")), kind).toMatchObject([{ value: "B" }]);
    }
  });

  it("present a token by OFREP", async () => {
    await using guarded = await openTestServer();
    const { bearer } = await guarded.admin.createToken({ token: { name: "root", role: Role.ADMIN } });
    await open("anonymous", "ofrep", {}, guarded);
    await open("known", "ofrep", { headers: { authorization: `Bearer ${bearer}` } }, guarded);
    expect(await ask("anonymous", question("nowhere", "boolean"))).toMatchObject([{ error: "GENERAL" }]);
    expect(await ask("known", question("nowhere", "boolean"))).toMatchObject([{ error: "FLAG_NOT_FOUND" }]);
  });

  it("recover when the server is back", async () => {
    const { address } = server;
    const port = Number(address.split(":")[1]);
    await program.ask("rpc", []);
    await server.stop();
    expect(await ask("in-process", question("text", "string"))).toMatchObject([{ value: "A" }]);
    server = await openTestServer({ path, listen: { host: "127.0.0.1", port } });
    // It keeps what it has cached, and hears of no change before its stream is there again.
    await eventually(async () => {
      const { events } = await program.ask("rpc", []);
      return events.map(({ event }) => event);
    }).toContain("PROVIDER_READY");
    await server.admin.updateTargeting({
      targeting: { flagKey: "followed", environment: "production", enabled: true, default: serve("a") },
    });
    for (const kind of KINDS) {
      await eventually(async () => (await ask(kind, question("followed", "string")))[0]?.value).toBe("A");
    }
  });
});
