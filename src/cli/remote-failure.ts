import { Code, ConnectError } from "@connectrpc/connect";
import {
  type BadRequest_FieldViolation,
  BadRequestSchema,
  ErrorInfoSchema,
} from "../../gen/google/rpc/error_details_pb.js";
import { CliFailure, ExitCode } from "./failure.js";
import { isClearText, isConnectionLost, isNotGrpc, isUntrusted } from "./remote.js";
import { counted } from "./text.js";

/** The options by which a request's fields are set, where a person would not guess. */
export type FieldOptions = Readonly<Record<string, string>>;

/** The stable reason of a refusal, such as `FLAG_NOT_FOUND`; undefined for anything else. */
export function refusalReason(error: unknown): string | undefined {
  return error instanceof ConnectError ? error.findDetails(ErrorInfoSchema)[0]?.reason : undefined;
}

/** What is known of a call that failed. */
export interface FailedCall {
  readonly address: string;
  /** Whether it may have changed something all the same. */
  readonly mayHaveWritten: boolean;
  readonly fields?: FieldOptions | undefined;
}

/** Says what became of a call and what to do next. Every status that a server can answer with becomes exit code 3. */
export function toRemoteFailure(error: ConnectError, failed: FailedCall): CliFailure {
  const violations = error
    .findDetails(BadRequestSchema)
    .flatMap((detail) => detail.fieldViolations)
    // A stale revision is said whole by the message.
    .filter(({ field }) => field !== "expected_revision" || !error.rawMessage.includes(field));
  const lines = violations.map(
    ({ field, description }) => `${fieldName(field, failed.fields ?? {})}: ${toOptions(description)}`,
  );
  return new CliFailure(ExitCode.refused, describe(error, failed, violations), lines);
}

function fieldName(field: string, fields: FieldOptions): string {
  const option = fields[field];
  return option === undefined ? field : `${option} (${field})`;
}

/** What a message says of fields, said of the options and commands that set them. */
function toOptions(message: string): string {
  return message
    .replace(/\bexpected_revision\b/g, "--expected-revision")
    .replace(/\ba caller without a token\b/, "$& (--token or FLAGWIRE_TOKEN)")
    .replace(/\bforce takes it all the same/g, '"flagwire flags restore" brings it back, and --force takes its key');
}

function describe(error: ConnectError, failed: FailedCall, violations: readonly BadRequest_FieldViolation[]): string {
  const { address } = failed;
  const doubt = failed.mayHaveWritten ? '. The write may have been made all the same: see "flagwire history"' : "";
  // Said of a write only: nobody expects a read to change anything.
  const unchanged = failed.mayHaveWritten ? "; nothing was changed" : "";
  if (isNotGrpc(error)) return `what listens at ${address} does not speak gRPC; check --address`;
  if (isUntrusted(error)) {
    return `the certificate of ${address} is not trusted: ${error.rawMessage}; name who signs it with --ca`;
  }
  if (isClearText(error)) return `what listens at ${address} does not speak TLS; name it without https://`;
  if (isConnectionLost(error)) return `the connection to ${address} was lost${doubt || tlsHint(address)}`;
  // A server's own line for several fields would only repeat the first of those that follow.
  const first = violations[0]?.field;
  if (first !== undefined && error.rawMessage.startsWith(`${first}: `)) {
    return `the server refuses ${counted(violations.length, "field")} of the request${unchanged}`;
  }
  const said = toOptions(error.rawMessage);
  // The places that are named are as they would be after the write, not as they are.
  if (violations.length > 0 && /IN_USE$/.test(refusalReason(error) ?? "")) {
    return `${said}${unchanged}. The write would lead to:`;
  }
  switch (error.code) {
    case Code.Unavailable: {
      if (refusalReason(error) !== undefined) return said;
      const hint = 'is it running? Start one with "flagwire serve", or name another with --address';
      return `cannot reach the server at ${address}: ${said}; ${hint}`;
    }
    case Code.DeadlineExceeded:
      return `no answer from ${address} in time; check that it is up${doubt}`;
    case Code.Unauthenticated:
      if (refusalReason(error) === "TOKEN_UNKNOWN") return `${said}; check --token and FLAGWIRE_TOKEN`;
      return `${said}; pass --token or set FLAGWIRE_TOKEN`;
    case Code.Unimplemented:
      return `the server at ${address} does not know this call: ${said}; is it another service, or an older version?`;
    default:
      return said === "" ? `the server at ${address} answered ${Code[error.code]}` : said;
  }
}

/** A server that speaks TLS ends a connection in clear text without a word. */
function tlsHint(address: string): string {
  return address.startsWith("https:") ? "" : `; if it speaks TLS, name it https://${address.replace(/^http:\/\//, "")}`;
}
