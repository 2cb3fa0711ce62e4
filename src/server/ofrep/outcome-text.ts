import type { Outcome } from "../../engine/index.js";
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

/** The reason is ours, as everywhere: OFREP lists fewer, but not even OpenFeature's DEFAULT, which flagd sends too. */
function toBody({ flagKey: key, value, variant, reason, metadata, errorCode, errorMessage }: Outcome): object {
  if (errorCode !== undefined) {
    return { key, errorCode: toResolutionErrorCode(errorCode), errorDetails: errorMessage ?? "cannot be evaluated" };
  }
  const flat = toFlatMetadata(metadata);
  return {
    key,
    ...(value !== undefined && { value }),
    reason,
    ...(variant !== undefined && { variant }),
    ...(Object.keys(flat).length > 0 && { metadata: flat }),
  };
}
