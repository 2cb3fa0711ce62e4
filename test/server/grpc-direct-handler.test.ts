import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import {
  BulkEvaluateResponseSchema,
  EvaluateResponseSchema,
  EvaluationService,
  ReportUsageResponseSchema,
} from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { FlagSchema } from "../../gen/flagwire/v1/flag_pb.js";
import { systemClock } from "../../src/base/index.js";
import { bindMethods } from "../../src/server/bound-method.js";
import { evaluationHandlers } from "../../src/server/evaluation.js";
import { guardService } from "../../src/server/guard.js";
import { type Call, type ServedService, serveService } from "../../src/server/handlers.js";
import { Refusal } from "../../src/server/refusal.js";
import { openGate } from "./open-gate.js";

const callWith = (authorization: string | undefined): Call => ({
  signal: new AbortController().signal,
  header: (name) => (name === "authorization" ? authorization : undefined),
  peer: "test",
});

it("a direct handler reaches the transport, and is asked only for those who may call", () => {
  const seen: Uint8Array[] = [];
  const response = create(EvaluateResponseSchema, { flagKey: "f" });
  const direct = (bytes: Uint8Array) => {
    seen.push(bytes);
    return bytes.byteLength === 0 ? undefined : response;
  };
  const served = serveService(EvaluationService, {
    evaluate: Object.assign(() => response, { direct }),
    bulkEvaluate: () => create(BulkEvaluateResponseSchema),
    async *watch() {},
    watchEvaluations: async function* () {},
    reportUsage: () => create(ReportUsageResponseSchema),
  });
  const [evaluate, bulkEvaluate] = bindMethods(guardService(served, openGate));
  if (evaluate?.kind !== "unary" || bulkEvaluate?.kind !== "unary") throw new Error("both are unary");
  const bytes = Uint8Array.of(1);
  expect(evaluate.direct?.(bytes, callWith("Bearer token"))).toBeInstanceOf(Refusal);
  expect(seen).toEqual([]);
  expect(evaluate.direct?.(bytes, callWith(undefined))).toBe(response);
  expect(evaluate.direct?.(Uint8Array.of(), callWith(undefined))).toBeUndefined();
  expect(seen).toEqual([bytes, Uint8Array.of()]);
  expect(bulkEvaluate.direct).toBeUndefined();
});

it("a direct handler is not asked where something may be written: that is looked at as a message", () => {
  const direct = () => create(FlagSchema);
  const others = AdminService.methods.map(({ localName }) => [localName, Object.assign(() => direct(), { direct })]);
  const served = { service: AdminService, handlers: Object.fromEntries(others) as ServedService["handlers"] };
  const bound = bindMethods(guardService(served, openGate)).filter((method) => method.kind === "unary");
  const isDirect = (name: string) => bound.find(({ method }) => method.localName === name)?.direct !== undefined;
  expect(["createFlag", "killFlags", "updateTargeting"].map(isDirect)).toEqual([false, false, false]);
  expect(["getFlag", "listFlags"].map(isDirect)).toEqual([true, true]);
});

it("Evaluate has a direct handler, which leaves to the other what it does not take", () => {
  // Bytes that it does not take never reach the state.
  const nothing = undefined as never;
  const { direct } = evaluationHandlers({
    head: { store: nothing } as never,
    hub: nothing,
    clock: systemClock,
    usage: nothing,
  }).evaluate;
  expect(direct?.(Uint8Array.of(0xff), callWith(undefined))).toBeUndefined();
});
