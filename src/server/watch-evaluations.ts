import type { EvaluationService } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import { serveCursor } from "./cursor-stream.js";
import type { Evaluation } from "./evaluation-parts.js";
import type { ServiceHandlers } from "./handlers.js";
import { Refusal } from "./refusal.js";

/** The handler of EvaluationService.WatchEvaluations. */
export function watchEvaluationsHandler(
  _evaluation: Evaluation,
): ServiceHandlers<typeof EvaluationService>["watchEvaluations"] {
  return serveCursor(() => new Refusal("UNIMPLEMENTED", "UNIMPLEMENTED", "not yet"));
}
