import type { Outcome, Reason } from "../../engine/index.js";
import { toFlatMetadata, toResolutionErrorCode } from "../../resolution/index.js";

/** An outcome in OFREP's form. */
export interface OutcomeText {
  /** Of an answer that is this outcome alone. */
  readonly status: 200 | 400;
  readonly json: string;
  /** Of `json`, in UTF-8. */
  readonly sizeBytes: number;
}

/** As the answers over gRPC are kept: see kept-answers.ts. These say nothing of the revision, so they stay as they are. */
const texts = new WeakMap<Outcome, OutcomeText>();
const MAX_KEPT_BYTES = 65_536;

export function textOf(outcome: Outcome): OutcomeText {
  const known = texts.get(outcome);
  if (known !== undefined) return known;
  const json = JSON.stringify(toBody(outcome));
  const made: OutcomeText = {
    status: outcome.errorCode === undefined ? 200 : 400,
    json,
    sizeBytes: Buffer.byteLength(json),
  };
  if (made.sizeBytes <= MAX_KEPT_BYTES) texts.set(outcome, made);
  return made;
}

/**
 * Reasons that OpenFeature has no word for. Each means that the off variant is served. Python's provider (0.3.0) takes an answer
 * with a reason that it does not know for an error and gives its caller's own default, which may well be "on".
 */
const ONLY_OURS: ReadonlySet<Reason> = new Set(["KILLED", "PREREQUISITE_FAILED"]);
/** Where the metadata of an answer says our reason, if that is another than OpenFeature's. */
const REASON_METADATA = "flagwire.reason";

/** DEFAULT stays, though OFREP's description lacks it: it is OpenFeature's, and flagd sends it too. */
function toBody({ flagKey: key, value, variant, reason, metadata, errorCode, errorMessage }: Outcome): object {
  if (errorCode !== undefined) {
    return { key, errorCode: toResolutionErrorCode(errorCode), errorDetails: errorMessage ?? "cannot be evaluated" };
  }
  const isOurs = ONLY_OURS.has(reason);
  const flat = { ...toFlatMetadata(metadata), ...(isOurs && { [REASON_METADATA]: reason }) };
  return {
    key,
    ...(value !== undefined && { value }),
    reason: isOurs ? "DISABLED" : reason,
    ...(variant !== undefined && { variant }),
    ...(Object.keys(flat).length > 0 && { metadata: flat }),
  };
}
