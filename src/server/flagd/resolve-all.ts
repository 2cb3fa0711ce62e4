import {
  create,
  type DescMessage,
  type DescMethod,
  type JsonObject,
  type Message,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import { invariant } from "../../base/index.js";
import type { JsonValue, Outcome } from "../../engine/index.js";
import type { Evaluation } from "../evaluation-parts.js";
import type { UnaryHandler } from "../handlers.js";
import { contractLimits } from "../limits.js";
import { isRefusal, Refusal } from "../refusal.js";
import { EncodedMessage } from "./encoded-message.js";
import { toFlagQuestion } from "./flag-question.js";
import { KeptByOutcome } from "./kept-by-outcome.js";
import { type Resolution, toResolution } from "./resolution.js";

/** The fields that the requests of all packages have. */
export interface ResolveAllRequest extends Message {
  readonly context?: JsonObject | undefined;
}

const responseTooLarge = new Refusal(
  "RESOURCE_EXHAUSTED",
  "RESPONSE_TOO_LARGE",
  `the answers are larger than ${contractLimits.bulkBytes} bytes together; ask for one flag at a time`,
);

/**
 * The handler of ResolveAll: every flag that has a value, and of those that cannot be evaluated that this is so. The others are
 * left out, as flagd does, so that clients use the caller's default.
 */
export function resolveAllHandler(
  { head, clock, served }: Evaluation,
  { output }: DescMethod,
): UnaryHandler<ResolveAllRequest, Message> {
  const { flags: field } = output.field;
  invariant(field?.fieldKind === "map" && field.message !== undefined, `${output.typeName} has no map of flags`);
  const schema = field.message;
  const answers = new KeptByOutcome((outcome) => toAnyFlag(outcome, schema));
  return (request, call) => {
    const question = toFlagQuestion(head, request.context, call);
    if (isRefusal(question)) return question;
    const { snapshot, context } = question;
    const now = clock.now();
    const flags: [string, Message][] = [];
    let sizeBytes = 0;
    for (const flag of snapshot.flags()) {
      const outcome = flag.select(context, now);
      served?.add(outcome, snapshot, context);
      if (outcome.value === undefined && outcome.errorCode === undefined) continue;
      const answer = answers.of(outcome);
      if (isRefusal(answer)) return answer;
      sizeBytes += flag.key.length + answer.sizeBytes;
      if (sizeBytes > contractLimits.bulkBytes) return responseTooLarge;
      flags.push([flag.key, answer.message]);
    }
    return create(output, { flags: Object.fromEntries(flags), metadata: {} } as MessageInitShape<DescMessage>);
  };
}

/** Without a value where the flag cannot be evaluated: flagd's zero in its place would be taken for one. */
function toAnyFlag(outcome: Outcome, schema: DescMessage): EncodedMessage {
  const resolution = toResolution(outcome);
  const fields = isRefusal(resolution) ? { reason: "ERROR" } : toFields(resolution);
  return new EncodedMessage(schema, create(schema, fields as MessageInitShape<DescMessage>));
}

function toFields({ served, reason, metadata }: Resolution): object {
  return { reason, variant: served?.variant, value: served && toAnyValue(served.value), metadata };
}

function toAnyValue(value: JsonValue): { readonly case: string; readonly value: JsonValue } | undefined {
  switch (typeof value) {
    case "boolean":
      return { case: "boolValue", value };
    case "string":
      return { case: "stringValue", value };
    case "number":
      return { case: "doubleValue", value };
    default:
      return { case: "objectValue", value };
  }
}
