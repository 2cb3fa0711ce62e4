import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { Role } from "../../gen/flagwire/v1/access_pb.js";
import { parseServeOptions } from "../../src/cli/parse-serve-options.js";
import type { GivenServeOptions } from "../../src/cli/serve-options.js";

const parse = (given: GivenServeOptions, env: Record<string, string> = {}) => parseServeOptions(given, env);

describe("options of serve", () => {
  it("have defaults", () => {
    expect(parse({})).toEqual({
      listen: { host: "127.0.0.1", port: 8013 },
      allowAnonymous: false,
      anonymousRole: undefined,
      data: "./data",
      seed: undefined,
      workers: 1,
      flagdPorts: undefined,
      web: { corsOrigins: [], ofrepRequestsPerSecond: 0 },
      tls: undefined,
      clientRoles: [],
      callers: { callsPerSecond: 0, streams: 10_000 },
      decisions: undefined,
      logLevel: "info",
      drainDelayMs: 0,
      otlp: undefined,
    });
  });

  const everyVariable = {
    FLAGWIRE_ANONYMOUS_ROLE: "evaluator",
    FLAGWIRE_DRAIN_DELAY: "5",
    FLAGWIRE_LOG_LEVEL: "debug",
    FLAGWIRE_DECISIONS: "/tmp/decisions.jsonl",
    FLAGWIRE_DECISIONS_SAMPLE: "0.25",
    FLAGWIRE_LISTEN: "localhost:1",
    FLAGWIRE_DATA: "/flags",
    FLAGWIRE_IMPORT: "flags.yaml",
    FLAGWIRE_WORKERS: "2",
    FLAGWIRE_FLAGD_PORTS: "3,4",
    FLAGWIRE_CORS_ORIGINS: "https://a.test",
    FLAGWIRE_OFREP_RATE_LIMIT: "5",
    FLAGWIRE_TOKEN_RATE_LIMIT: "6",
    FLAGWIRE_TOKEN_STREAMS: "7",
    FLAGWIRE_TLS_CERT: "server.pem",
    FLAGWIRE_TLS_KEY: "server.key",
    FLAGWIRE_TLS_CLIENT_CA: "ca.pem",
    FLAGWIRE_TLS_CLIENT_ROLES: "ops=admin",
    FLAGWIRE_OTLP: "http://collector:4318",
    FLAGWIRE_OTLP_SAMPLE: "0.25",
  };
  const fromVariables = {
    listen: { host: "localhost", port: 1 },
    allowAnonymous: false,
    anonymousRole: { role: Role.EVALUATOR, environments: [] },
    data: "/flags",
    seed: "flags.yaml",
    workers: 2,
    flagdPorts: { sync: 3, ofrep: 4 },
    web: { corsOrigins: ["https://a.test"], ofrepRequestsPerSecond: 5 },
    tls: { cert: "server.pem", key: "server.key", clientCa: "ca.pem" },
    clientRoles: [{ name: "ops", role: Role.ADMIN, environments: [] }],
    callers: { callsPerSecond: 6, streams: 7 },
    decisions: { target: { kind: "file", path: "/tmp/decisions.jsonl" }, sample: 0.25 },
    logLevel: "debug",
    drainDelayMs: 5_000,
    otlp: { url: "http://collector:4318", authorization: undefined, sample: 0.25 },
  };

  it("come from the environment where they are not given", () => {
    expect(parse({}, everyVariable)).toEqual(fromVariables);
  });

  it("that are given go before the environment", () => {
    expect(parse({ workers: "1", corsOrigins: "*" }, everyVariable)).toEqual({
      ...fromVariables,
      workers: 1,
      web: { ...fromVariables.web, corsOrigins: ["*"] },
    });
  });

  it("are not set by an empty variable", () => {
    const empty = Object.fromEntries(Object.keys(everyVariable).map((name) => [name, ""]));
    expect(parse({}, empty)).toEqual(parse({}));
  });

  it("are complained of by the name that they came by", () => {
    expect(() => parse({ workers: "0" })).toThrow('--workers "0" is not');
    expect(() => parse({}, { FLAGWIRE_WORKERS: "0" })).toThrow('FLAGWIRE_WORKERS "0" is not');
    expect(() => parse({}, { FLAGWIRE_LISTEN: "0.0.0.0:x" })).toThrow("FLAGWIRE_LISTEN");
  });
});

describe("where decisions go", () => {
  it("is a file, or an endpoint with what is presented there", () => {
    expect(parse({ decisions: "./d.jsonl" }).decisions?.target).toEqual({ kind: "file", path: resolve("d.jsonl") });
    expect(parse({ decisions: "https://me:pw@collector.test/otlp/" }).decisions?.target).toEqual({
      kind: "otlp",
      endpoint: { url: "https://collector.test/otlp", authorization: "Basic bWU6cHc=" },
    });
  });

  it("is not a URL of another kind, whose password is not shown", () => {
    expect(() => parse({ decisions: "grpc://me:pw@collector.test:4317" })).toThrow(
      '--decisions "grpc://…@collector.test:4317" is not an http:// or https:// URL',
    );
  });

  it("is not nowhere", () => {
    expect(() => parse({ decisions: "" })).toThrow("--decisions is empty; name a file, or a URL");
  });
});

describe("the share of decisions that is written", () => {
  it.each(["0", "-1", "1.5", "2", "50%", "0.", "1e-3"])("cannot be %j", (decisionsSample) => {
    expect(() => parse({ decisions: "d", decisionsSample })).toThrow(`"${decisionsSample}" is not a share above 0`);
  });
});

describe("the delay before draining", () => {
  it.each(["-1", "1.5", "3601", "5s"])("cannot be %j", (drainDelay) => {
    expect(() => parse({ drainDelay })).toThrow(`"${drainDelay}" is not a whole number of seconds, from 0 to 3600`);
  });
});

describe("ports for flagd's clients", () => {
  it("are where those clients look, unless others are named", () => {
    expect(parse({ flagdPorts: true }).flagdPorts).toEqual({ sync: 8015, ofrep: 8016 });
    expect(parse({}, { FLAGWIRE_FLAGD_PORTS: "true" }).flagdPorts).toEqual({ sync: 8015, ofrep: 8016 });
    expect(parse({ flagdPorts: "0,0" }).flagdPorts).toEqual({ sync: 0, ofrep: 0 });
  });

  it("are not opened where the option takes back the variable", () => {
    expect(parse({ flagdPorts: "false" }, { FLAGWIRE_FLAGD_PORTS: "true" }).flagdPorts).toBeUndefined();
  });

  it.each(["", "8015", "8015,", "8015,8016,8017", "8015 8016", "8015,65536", "-1,2", "a,b"])(
    "cannot be %j",
    (ports) => {
      expect(() => parse({ flagdPorts: ports })).toThrow(
        `--flagd-ports ${JSON.stringify(ports)} is not two ports, for sync and OFREP, such as 8015,8016`,
      );
    },
  );

  it.each([
    ["8013,8016", 8013],
    ["8015,8013", 8013],
    ["9000,9000", 9000],
  ])("%s cannot be listened on once more", (flagdPorts, port) => {
    expect(() => parse({ flagdPorts })).toThrow(`--flagd-ports would listen twice on port ${port}`);
  });
});

describe("origins that may call from a browser", () => {
  const originsOf = (list: string) => parse({ corsOrigins: list }).web.corsOrigins;

  it.each([
    ["*", ["*"]],
    ["https://a.test", ["https://a.test"]],
    ["https://a.test, http://localhost:3000", ["https://a.test", "http://localhost:3000"]],
    ["https://a.test,https://a.test", ["https://a.test"]],
    ["http://[::1]:3000,capacitor://localhost", ["http://[::1]:3000", "capacitor://localhost"]],
  ])("can be %s", (list, origins) => {
    expect(originsOf(list)).toEqual(origins);
  });

  it.each([
    ["https://a.test/", '"https://a.test/" is not an origin as browsers send it; write https://a.test'],
    ["https://a.test/app", "write https://a.test"],
    ["https://A.test", "write https://a.test"],
    ["https://a.test:443", "write https://a.test"],
    ["https://user@a.test", "write https://a.test"],
    ["capacitor://localhost/x", "write capacitor://localhost"],
    [
      "a.test",
      '"a.test" is not an origin as browsers send it; write one such as https://app.example.com, or * for all',
    ],
    ["localhost:3000", "write one such as"],
    ["https://*.a.test", "write one such as"],
    ["null", "write one such as"],
    ["", '"" is not an origin'],
    ["https://a.test,", '"" is not an origin'],
    ["*,https://a.test", "* allows all origins already; give it alone"],
  ])("cannot be %j", (list, message) => {
    expect(() => originsOf(list)).toThrow(message);
  });
});

describe("the limit of OFREP requests", () => {
  it.each([
    ["0", 0],
    ["250", 250],
    ["1000000", 1_000_000],
  ])("can be %s", (text, rate) => {
    expect(parse({ ofrepRateLimit: text }).web.ofrepRequestsPerSecond).toBe(rate);
  });

  it.each(["", "-1", "1.5", "1e3", "1000001", "many"])("cannot be %j", (text) => {
    expect(() => parse({ ofrepRateLimit: text })).toThrow(
      `--ofrep-rate-limit ${JSON.stringify(text)} is not a whole number of requests a second`,
    );
  });
});

describe("options of TLS", () => {
  const keys = { tlsCert: "a.pem", tlsKey: "a.key" };

  it.each([
    [{ tlsCert: "a" }, "--tls-cert needs --tls-key too"],
    [{ tlsKey: "a" }, "--tls-key needs --tls-cert too"],
    [{ tlsClientCa: "a", tlsClientRoles: "a=admin" }, "--tls-client-ca needs --tls-cert and --tls-key too"],
    [{ ...keys, tlsClientCa: "a" }, "--tls-client-ca needs --tls-client-roles too"],
    [{ ...keys, tlsClientRoles: "a=admin" }, "--tls-client-roles needs --tls-client-ca too"],
  ])("are of use together only: %j", (given, complaint) => {
    expect(() => parse(given)).toThrow(complaint);
  });

  const rolesOf = (text: string) => parse({ ...keys, tlsClientCa: "ca", tlsClientRoles: text }).clientRoles;

  it("give names a role, and environments that commas part", () => {
    expect(rolesOf("ops=admin, a=reader@production,staging,spiffe://a@b/c=d=editor@qa")).toEqual([
      { name: "ops", role: Role.ADMIN, environments: [] },
      { name: "a", role: Role.READER, environments: ["production", "staging"] },
      { name: "spiffe://a@b/c=d", role: Role.EDITOR, environments: ["qa"] },
    ]);
  });

  it.each([
    "",
    "ops",
    "ops=",
    "=admin",
    "ops=boss",
    "ops=admin@",
    "ops=admin,staging",
    "a=reader@b@c",
    "a=reader,a=admin",
  ])("refuse the roles %j", (text) => {
    expect(() => rolesOf(text || " ")).toThrow("--tls-client-roles");
  });
});

describe("where telemetry goes", () => {
  it("is a URL, below which each signal has its path", () => {
    const url = (otlp: string) => parse({ otlp }).otlp?.url;
    expect(url("http://127.0.0.1:4318")).toBe("http://127.0.0.1:4318");
    expect(url("https://otlp.example.com/")).toBe("https://otlp.example.com");
    expect(url("https://otlp.example.com/tenants/a/")).toBe("https://otlp.example.com/tenants/a");
    expect(() => url("http://127.0.0.1:4318/v1/traces")).toThrow("leave out /v1/traces");
  });

  it("may say who logs in, which is presented there and shown nowhere", () => {
    const { url, authorization } = parse({ otlp: "http://ann:p%40ss@127.0.0.1:4318" }).otlp ?? {};
    expect({ url, authorization }).toEqual({
      url: "http://127.0.0.1:4318",
      authorization: `Basic ${Buffer.from("ann:p@ss").toString("base64")}`,
    });
    expect(() => parse({ otlp: "ftp://ann:p4ss@files.test" })).toThrow('--otlp "ftp://…@files.test" is not');
  });

  it.each(["127.0.0.1:4318", "grpc://x", "http://x?a=b", "http://x#a", "http://a%zz@x"])("is not %s", (otlp) => {
    expect(() => parse({ otlp })).toThrow("is not an http:// or https:// URL");
  });

  it("gets a share of the traces", () => {
    const sample = (otlpSample: string) => parse({ otlp: "http://x", otlpSample }).otlp?.sample;
    expect([sample("0"), sample("0.01"), sample(".5"), sample("1")]).toEqual([0, 0.01, 0.5, 1]);
    for (const wrong of ["1.1", "-1", "1%", "x"]) expect(() => sample(wrong)).toThrow("is not a share from 0 to 1");
    expect(() => parse({ otlpSample: "0.5" })).toThrow("--otlp-sample needs --otlp too");
  });

  it("give callers without a token a role, in all environments or some", () => {
    const roleOf = (anonymousRole: string) => parse({ anonymousRole }).anonymousRole;
    expect(roleOf("evaluator")).toEqual({ role: Role.EVALUATOR, environments: [] });
    expect(roleOf("reader@production,qa")).toEqual({ role: Role.READER, environments: ["production", "qa"] });
  });

  it.each(["operator", "admin@production", "Reader", "reader@", "reader@a b", "reader@a,", "x=reader", "@production"])(
    "give callers without a token no role %j",
    (anonymousRole) => {
      const complaint = `--anonymous-role ${JSON.stringify(anonymousRole)} is neither evaluator nor reader`;
      expect(() => parse({ anonymousRole })).toThrow(complaint);
    },
  );
});
