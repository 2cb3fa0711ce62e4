import { create, type JsonObject } from "@bufbuild/protobuf";
import { ContextSchema } from "../../../gen/flagwire/v1/evaluation_service_pb.js";
import type { Context, Snapshot } from "../../engine/index.js";
import { resolveEnvironment } from "../access/permit.js";
import { toContext } from "../context.js";
import { environmentNotFound, invalidArgument } from "../environment.js";
import type { Call } from "../handlers.js";
import { isRefusal, type OrRefusal } from "../refusal.js";
import { selectedEnvironment } from "../selected-environment.js";
import type { Head } from "../state/head.js";

/** What is asked of which snapshot. */
export interface FlagQuestion {
  readonly snapshot: Snapshot;
  readonly context: Context;
}

/** What flagd's requests ask: an environment by headers, a context as one object with `targetingKey` in it. */
export function toFlagQuestion(head: Head, attributes: JsonObject | undefined, call: Call): OrRefusal<FlagQuestion> {
  const selected = selectedEnvironment(call);
  if (isRefusal(selected)) return selected;
  const environment = resolveEnvironment(selected ?? "", call);
  if (isRefusal(environment)) return environment;
  const snapshot = head.snapshot(environment);
  if (snapshot === undefined) return environmentNotFound(environment);
  const context = toFlatContext(attributes);
  return isRefusal(context) ? context : { snapshot, context };
}

function toFlatContext(attributes: JsonObject | undefined): OrRefusal<Context> {
  if (attributes === undefined) return toContext(undefined);
  const message = create(ContextSchema);
  message.attributes = attributes;
  const context = toContext(message);
  if (!isRefusal(context)) return context;
  // The same limits, by the names that these requests have.
  const violations = context.details.violations ?? [];
  return invalidArgument(
    violations.map(({ field, description }) => ({
      field: field.replace("context.attributes", "context"),
      description,
    })),
  );
}
