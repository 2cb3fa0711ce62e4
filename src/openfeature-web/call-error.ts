import { isRecord, textOf } from "./json.js";

/** Why a call failed. */
export class CallError extends Error {
  override readonly name = "CallError";

  /** `code` is Connect's, such as `unavailable`, or `not-connect` where what answered does not speak it. */
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }

  /** Whether a server has understood and says no. */
  get isRefusal(): boolean {
    return REFUSALS.has(this.code);
  }
}

const REFUSALS: ReadonlySet<string> = new Set([
  "invalid_argument",
  "not_found",
  "permission_denied",
  "unauthenticated",
]);

/** Connect's error in JSON; undefined for what is none. */
export function parseCallError(json: unknown): CallError | undefined {
  if (!isRecord(json) || typeof json.code !== "string") return undefined;
  return new CallError(json.code, textOf(json.message) || json.code);
}

/** Whatever was thrown, as text. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
