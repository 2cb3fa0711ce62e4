import {
  create,
  type DescMessage,
  type DescMethod,
  type JsonObject,
  type Message,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import type { JsonValue, Outcome } from "../../engine/index.js";
import type { Evaluation } from "../evaluation-parts.js";
import type { UnaryHandler } from "../handlers.js";
import { isRefusal, type OrRefusal } from "../refusal.js";
import { EncodedMessage } from "./encoded-message.js";
import { toFlagQuestion } from "./flag-question.js";
import { KeptByOutcome } from "./kept-by-outcome.js";
import type { FlagdProtocol } from "./protocol.js";
import { refuseFlag, refuseNoValue, toResolution } from "./resolution.js";
import type { ValueForm } from "./value-form.js";

/** The fields that the requests of all packages have. */
export interface ResolveRequest extends Message {
  readonly flagKey: string;
  readonly context?: JsonObject | undefined;
}

/** The handler of ResolveBoolean, ResolveString and so on: they differ in their value only. */
export function resolveFlagHandler(
  { head, clock, served }: Evaluation,
  method: DescMethod,
  form: ValueForm,
  protocol: FlagdProtocol,
): UnaryHandler<ResolveRequest, Message> {
  const answers = new KeptByOutcome((outcome) => toAnswer(outcome, method, form, protocol));
  return (request, call) => {
    const question = toFlagQuestion(head, request.context, call);
    if (isRefusal(question)) return question;
    const { snapshot, context } = question;
    const flag = snapshot.flag(request.flagKey);
    if (flag === undefined) return refuseFlag(request.flagKey, "FLAG_NOT_FOUND", "there is no such flag");
    const outcome = flag.select(context, flag.usesNow ? clock.now() : 0);
    served?.add(outcome, snapshot, context);
    call.trace?.evaluated(outcome, snapshot);
    return answers.of(outcome);
  };
}

function toAnswer(
  outcome: Outcome,
  { name, output }: DescMethod,
  form: ValueForm,
  protocol: FlagdProtocol,
): OrRefusal<EncodedMessage> {
  const resolution = toResolution(outcome);
  if (isRefusal(resolution)) return resolution;
  const { flagKey, served, reason, metadata } = resolution;
  if (served === undefined) {
    return protocol.hasOptionalValues ? encode(output, { reason, metadata }) : refuseNoValue(resolution);
  }
  const value = toField(served.value, form);
  if (value === undefined) return refuseFlag(flagKey, "TYPE_MISMATCH", mismatch(served.value, name, form));
  return encode(output, { value, variant: served.variant, reason, metadata });
}

/** Undefined for a value that the field cannot hold. */
function toField(value: JsonValue, { type, convert }: ValueForm): unknown {
  if (typeof value !== type) return undefined;
  return convert === undefined ? value : convert(value);
}

function mismatch(value: JsonValue, method: string, { type }: ValueForm): string {
  if (typeof value === type) return `${value} is no integer up to 2^53; call ResolveFloat`;
  return `it has values of type ${typeof value}, and ${method} was called`;
}

function encode(schema: DescMessage, fields: object): EncodedMessage {
  return new EncodedMessage(schema, create(schema, fields as MessageInitShape<DescMessage>));
}
