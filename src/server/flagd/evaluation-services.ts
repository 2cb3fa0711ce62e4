import type { DescMethod } from "@bufbuild/protobuf";
import { Service as ServiceV1 } from "../../../gen/flagd/evaluation/v1/evaluation_pb.js";
import { Service as ServiceV2 } from "../../../gen/flagd/evaluation/v2/evaluation_pb.js";
import { Service as SchemaService } from "../../../gen/schema/v1/schema_pb.js";
import { invariant } from "../../base/index.js";
import type { Evaluation } from "../evaluation-parts.js";
import type { ServedService } from "../handlers.js";
import { eventStreamHandler } from "./event-stream.js";
import { FollowedSnapshots } from "./followed-snapshots.js";
import type { FlagdProtocol } from "./protocol.js";
import { resolveAllHandler } from "./resolve-all.js";
import { resolveFlagHandler } from "./resolve-flag.js";
import { valueForms } from "./value-form.js";

const PROTOCOLS: readonly FlagdProtocol[] = [
  { service: ServiceV2, hasOptionalValues: true },
  { service: ServiceV1, hasOptionalValues: false },
  { service: SchemaService, hasOptionalValues: false },
];

/** flagd's evaluation services: `flagd.evaluation.v2`, `.v1` and `schema.v1`. */
export function flagdEvaluationServices(evaluation: Evaluation): ServedService[] {
  const followed = new FollowedSnapshots(evaluation.head);
  return PROTOCOLS.map((protocol) => {
    const handlers = protocol.service.methods.map((method) => [
      method.localName,
      toHandler(method, protocol, evaluation, followed),
    ]);
    return { service: protocol.service, handlers: Object.fromEntries(handlers), json: "lenient" };
  });
}

function toHandler(
  method: DescMethod,
  protocol: FlagdProtocol,
  evaluation: Evaluation,
  followed: FollowedSnapshots,
): unknown {
  const { localName, methodKind } = method;
  if (methodKind === "server_streaming") return eventStreamHandler(evaluation, followed, method.output);
  invariant(methodKind === "unary", `${localName} is of another kind`);
  if (localName === "resolveAll") return resolveAllHandler(evaluation, method);
  const form = valueForms[localName];
  invariant(form !== undefined, `${localName} is no method of flagd's that is known`);
  return resolveFlagHandler(evaluation, method, form, protocol);
}
