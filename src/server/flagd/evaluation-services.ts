import type { Evaluation } from "../evaluation-parts.js";
import type { ServedService } from "../handlers.js";

/** flagd's evaluation services: `flagd.evaluation.v2`, `.v1` and `schema.v1`. */
export function flagdEvaluationServices(_evaluation: Evaluation): ServedService[] {
  return [];
}
