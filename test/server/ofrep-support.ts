import { create } from "@bufbuild/protobuf";
import { Operator } from "../../gen/flagwire/v1/condition_pb.js";
import { FlagType } from "../../gen/flagwire/v1/flag_pb.js";
import { RecordSchema, type Record as StoredRecord } from "../../gen/flagwire/v1/history_pb.js";
import type { WatchItem } from "../../gen/flagwire/v1/watch_pb.js";
import { type RecordChange, recordId } from "../../src/store/index.js";
import { flag, match, rule, serve, serveRollout, value } from "../engine/build.js";
import type { TestServer } from "../support/server.js";

export const BULK = "/ofrep/v1/evaluate/flags";
export const EVENTS = "/ofrep/v1/sse";

/** Flags of every kind of answer. */
export const someFlags: readonly WatchItem[] = [
  flag(
    "boolean",
    { default: serve("on") },
    {
      type: FlagType.BOOLEAN,
      variants: { on: value(true), off: value(false) },
      metadata: { team: "web", level: 2, live: true },
    },
  ),
  flag("string", { rules: [rule(match("plan", Operator.IN, ["pro"]), "r1", serve("b"))] }),
  flag("number", {}, { type: FlagType.NUMBER, variants: { a: value(1.5), off: value(0) } }),
  flag(
    "object",
    {},
    { type: FlagType.OBJECT, variants: { a: value({ list: [1, "zwei"], none: null }), off: value({}) } },
  ),
  flag("split", {
    default: serveRollout({
      shares: [
        { variant: "a", weight: 1 },
        { variant: "b", weight: 1 },
      ],
    }),
  }),
  flag("disabled", { enabled: false }),
  flag("bare", { enabled: false, offVariant: "" }),
  flag("killed", { killed: { reason: "broken" } }),
  flag("needs", { prerequisites: [{ flagKey: "string", variants: ["c"] }] }),
  flag("no default", { default: undefined }),
  flag("malformed", { default: serve("missing") }),
  flag("weiß/1", {}),
];

/** Puts items into an environment past all checks of writes, as another version may have, and waits until they are seen. */
export async function commitItems(
  { store, server }: TestServer,
  items: readonly WatchItem[],
  environment = "production",
): Promise<bigint> {
  const changes = items.flatMap(({ kind }) => toChanges(kind, environment));
  const transaction = { timeMs: 0, author: "test", comment: "", changes, preconditions: [] };
  const result = await store.commit(transaction);
  if (result.kind !== "committed") throw new Error(result.kind);
  while (server.revision < result.revision) await new Promise((resolve) => setImmediate(resolve));
  return result.revision;
}

function toChanges(kind: WatchItem["kind"], environment: string): RecordChange[] {
  if (kind.case === "segment") return put({ case: "segment", value: { ...kind.value, environment } });
  if (kind.case !== "flag" || kind.value.flag === undefined) return [];
  const { flag, targeting } = kind.value;
  const settings = targeting && { ...targeting, flagKey: flag.key, environment };
  return [...put({ case: "flag", value: flag }), ...(settings ? put({ case: "targeting", value: settings }) : [])];
}

function put(kind: StoredRecord["kind"]): RecordChange[] {
  const after = create(RecordSchema, { kind });
  const id = recordId(after);
  return id === undefined ? [] : [{ id, after }];
}

/** An answer of OFREP. */
export interface OfrepAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed; undefined where there is none. */
  readonly body: unknown;
}

/** Asks with a context, or with a body as it is. */
export async function ask(
  { address }: { readonly address: string },
  path: string,
  question: object | string | Uint8Array<ArrayBuffer> = {},
  headers: Readonly<Record<string, string>> = {},
): Promise<OfrepAnswer> {
  const isRaw = typeof question === "string" || question instanceof Uint8Array;
  const response = await fetch(`http://${address}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: isRaw ? question : JSON.stringify({ context: question }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === "" ? undefined : JSON.parse(text) };
}

export function askFlag(server: { readonly address: string }, key: string, context: object = {}) {
  return ask(server, `${BULK}/${encodeURIComponent(key)}`, context);
}
