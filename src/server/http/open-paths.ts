import { EvaluationService } from "../../../gen/flagwire/v1/evaluation_service_pb.js";

/** What of our own service a page needs. Watch is not among it: it gives away the rules, and whom they name. */
const { evaluate, bulkEvaluate, watchEvaluations } = EvaluationService.method;
const METHODS: ReadonlySet<string> = new Set(
  [evaluate, bulkEvaluate, watchEvaluations].map(({ name }) => `/${EvaluationService.typeName}/${name}`),
);
/** flagd's evaluation services, and OFREP, which may come with more slashes before it. */
const FOREIGN = /^\/(?:(?:flagd\.evaluation\.v\d+|schema\.v1)\.Service\/|\/*ofrep\/)/;

/**
 * Whether pages of other origins may call a path, if they may call anything: what evaluates, and nothing else. Whoever may
 * ask for answers may not therefore change them.
 */
export function isOpenToPages(path: string): boolean {
  return METHODS.has(path) || FOREIGN.test(path);
}
