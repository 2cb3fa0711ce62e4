import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, onTestFinished } from "vitest";
import type { ConditionSchema, Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { FlagKind, type FlagSchema, FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import type { RuleSchema, ServeSchema } from "../../gen/flagwire/v1/targeting_pb.js";
import { BadRequestSchema, ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { openTestServer, type TestServer, type TestServerOptions } from "../support/server.js";

type FlagInit = MessageInitShape<typeof FlagSchema>;
type ValueInit = MessageInitShape<typeof ValueSchema>;
type ServeInit = MessageInitShape<typeof ServeSchema>;
type ConditionInit = MessageInitShape<typeof ConditionSchema>;
type RuleInit = MessageInitShape<typeof RuleSchema>;

/** A server that ends with the test. For a test, or for what is done before each. */
export async function openServer(options: TestServerOptions = {}): Promise<RestartableServer> {
  const path = await mkdtemp(join(tmpdir(), "flagwire-test-"));
  const server = new RestartableServer(await openTestServer({ ...options, path }), { ...options, path });
  onTestFinished(() => server.remove());
  return server;
}

/** A server that can stop and come back on the same data. */
export class RestartableServer implements Omit<TestServer, typeof Symbol.asyncDispose> {
  #current: TestServer;
  readonly #options: TestServerOptions & { readonly path: string };

  constructor(current: TestServer, options: TestServerOptions & { readonly path: string }) {
    this.#current = current;
    this.#options = options;
  }

  get server() {
    return this.#current.server;
  }

  get store() {
    return this.#current.store;
  }

  get address() {
    return this.#current.address;
  }

  get admin() {
    return this.#current.admin;
  }

  get evaluation() {
    return this.#current.evaluation;
  }

  get path(): string {
    return this.#options.path;
  }

  json(...parameters: Parameters<TestServer["json"]>): ReturnType<TestServer["json"]> {
    return this.#current.json(...parameters);
  }

  stop(): Promise<void> {
    return this.#current.stop();
  }

  async restart(options: TestServerOptions = {}): Promise<void> {
    await this.stop();
    this.#current = await openTestServer({ ...this.#options, ...options });
  }

  async remove(): Promise<void> {
    await this.stop();
    await rm(this.path, { recursive: true, force: true });
  }
}

export const boolean = (value: boolean): ValueInit => ({ kind: { case: "boolValue", value } });
export const text = (value: string): ValueInit => ({ kind: { case: "stringValue", value } });
export const number = (value: number): ValueInit => ({ kind: { case: "numberValue", value } });

/** A boolean flag with the variants `on` and `off`, of a kind that needs neither owner nor expiry. */
export function booleanFlag(key: string, extra: FlagInit = {}): FlagInit {
  const variants = { on: boolean(true), off: boolean(false) };
  return { key, type: FlagType.BOOLEAN, kind: FlagKind.OPERATIONAL, variants, ...extra };
}

/** A string flag whose variants have their own names as values. */
export function stringFlag(key: string, names: readonly string[], extra: FlagInit = {}): FlagInit {
  const variants = Object.fromEntries(names.map((name) => [name, text(name)]));
  return { key, type: FlagType.STRING, kind: FlagKind.OPERATIONAL, variants, ...extra };
}

export const serve = (variant: string): ServeInit => ({ kind: { case: "variant", value: variant } });
export const everyone: ConditionInit = { kind: { case: "all", value: {} } };
export const inSegment = (key: string): ConditionInit => ({ kind: { case: "segment", value: key } });
export const not = (condition: ConditionInit): ConditionInit => ({ kind: { case: "not", value: condition } });

export function match(attribute: string, operator: Operator, ...values: ValueInit[]): ConditionInit {
  return { kind: { case: "match", value: { attribute, operator, values } } };
}

export const rule = (condition: ConditionInit, variant: string, id = ""): RuleInit => ({
  id,
  condition,
  serve: serve(variant),
});

/** What a caller learns from a refusal. */
export interface Refused {
  /** Such as `InvalidArgument`. */
  readonly code: string;
  readonly reason: string;
  /** The offending fields. */
  readonly fields: readonly string[];
}

/** How a call was refused; fails the test if it was not. */
export async function refusalOf(call: Promise<unknown>): Promise<Refused & { readonly error: ConnectError }> {
  const error = await call.then(
    (answer) => new Error(`answered: ${JSON.stringify(answer, (_, v) => (typeof v === "bigint" ? String(v) : v))}`),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ConnectError)) throw error;
  const [info] = error.findDetails(ErrorInfoSchema);
  const fields = error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  expect(info?.domain).toBe("flagwire");
  return { code: Code[error.code] ?? "?", reason: info?.reason ?? "", fields: fields.map(({ field }) => field), error };
}

/** The newest revision, as any reader sees it. */
export async function revisionOf({ admin }: Pick<TestServer, "admin">): Promise<bigint> {
  return (await admin.listEnvironments({})).revision;
}

/** Expects a write to be refused, naming exactly these fields, and nothing to have changed. */
export async function expectRefused(
  server: Pick<TestServer, "admin">,
  write: () => Promise<unknown>,
  expected: Refused,
) {
  const before = await revisionOf(server);
  const { error, ...refused } = await refusalOf(write());
  expect({ ...refused, fields: [...new Set(refused.fields)].sort() }).toEqual({
    ...expected,
    fields: [...expected.fields].sort(),
  });
  expect(await revisionOf(server)).toBe(before);
  return error;
}

export const invalid = (...fields: string[]): Refused => ({
  code: "InvalidArgument",
  reason: "INVALID_FIELDS",
  fields,
});

export const refused = (code: string, reason: string, ...fields: string[]): Refused => ({ code, reason, fields });
