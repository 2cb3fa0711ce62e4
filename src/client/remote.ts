import { create } from "@bufbuild/protobuf";
import { EvaluateRequestSchema, type EvaluateResponse } from "../../gen/flagwire/v1/evaluation_service_pb.js";
import type { Trace } from "../../gen/flagwire/v1/trace_pb.js";
import {
  type Context,
  type ErrorCode,
  type ExplainOptions,
  fromValue,
  type JsonValue,
  type Outcome,
  type Reason,
} from "../engine/index.js";
import { parseAddress } from "./address.js";
import type { TlsOptions } from "./connect-socket.js";
import {
  type EvaluationDetails,
  type Explanation,
  errorDetails,
  flagTypeOf,
  toDetails,
  typeMismatch,
} from "./details.js";
import { openGrpcTransport } from "./grpc-transport.js";
import { messageOf } from "./mirror-error.js";
import { NO_LIST_OF_NAMES, parseExplainOptions, parsePrivateAttributes } from "./private-attributes.js";
import { toContextMessage } from "./remote-context.js";
import { type RemoteTransport, TransportError } from "./transport.js";

/** How to reach a server for single answers. */
export interface RemoteOptions {
  /** See MirrorOptions. */
  readonly address?: string | undefined;
  readonly token?: string | undefined;
  readonly environment?: string | undefined;
  readonly tls?: TlsOptions | undefined;
  /** How long an answer may take, in milliseconds. Default 500: whoever waits for a flag keeps somebody waiting. */
  readonly timeoutMs?: number;
  /** See MirrorOptions. */
  readonly privateAttributes?: readonly string[];
  /** How to reach the server. Default gRPC at `address`. The remote closes it. */
  readonly transport?: RemoteTransport;
}

/** A mirror's methods, answered by the server one call at a time, for callers that must not hold the rules. */
export interface Remote extends AsyncDisposable {
  readonly environment: string;
  /** None of these rejects: without an answer it is the default, and `details` says why. */
  boolean(key: string, defaultValue: boolean, context?: Context): Promise<boolean>;
  string(key: string, defaultValue: string, context?: Context): Promise<string>;
  number(key: string, defaultValue: number, context?: Context): Promise<number>;
  object<T extends JsonValue>(key: string, defaultValue: T, context?: Context): Promise<T>;
  /** The error code is GENERAL where the server cannot be reached in time or refuses. */
  details<T>(key: string, defaultValue: T, context?: Context): Promise<EvaluationDetails<T>>;
  /** `privateAttributes` travel to the server with their values, and come back without. */
  explain<T>(key: string, defaultValue: T, context?: Context, options?: ExplainOptions): Promise<Explanation<T>>;
  close(): Promise<void>;
}

/**
 * Opens a remote client. Rejects with a `TypeError` for an address that is none, and for private attributes that are no list of
 * names. It connects when first asked, and reconnects by itself.
 */
export async function openRemote(options: RemoteOptions = {}): Promise<Remote> {
  const { address = "127.0.0.1:8013", token, tls, environment = "production", timeoutMs = 500 } = options;
  const privateAttributes = parsePrivateAttributes(options.privateAttributes);
  if (privateAttributes === undefined) throw new TypeError(NO_LIST_OF_NAMES);
  const transport = options.transport ?? openGrpcTransport({ url: parseAddress(address), token, tls });
  return new EvaluateRemote(environment, transport, timeoutMs, privateAttributes);
}

interface Question {
  readonly context: Context;
  /** Undefined: no explanation is wanted. */
  readonly privateAttributes?: readonly string[];
}

interface Reply<T> {
  readonly details: EvaluationDetails<T>;
  readonly trace: Trace | undefined;
}

class EvaluateRemote implements Remote {
  constructor(
    readonly environment: string,
    readonly transport: RemoteTransport,
    readonly timeoutMs: number,
    readonly privateAttributes: readonly string[],
  ) {}

  async boolean(key: string, defaultValue: boolean, context?: Context): Promise<boolean> {
    return (await this.details(key, defaultValue, context)).value;
  }

  async string(key: string, defaultValue: string, context?: Context): Promise<string> {
    return (await this.details(key, defaultValue, context)).value;
  }

  async number(key: string, defaultValue: number, context?: Context): Promise<number> {
    return (await this.details(key, defaultValue, context)).value;
  }

  async object<T extends JsonValue>(key: string, defaultValue: T, context?: Context): Promise<T> {
    return (await this.details(key, defaultValue, context)).value;
  }

  async details<T>(key: string, defaultValue: T, context?: Context): Promise<EvaluationDetails<T>> {
    return (await this.#ask(key, defaultValue, { context: context ?? {} })).details;
  }

  async explain<T>(key: string, defaultValue: T, context?: Context, options?: ExplainOptions): Promise<Explanation<T>> {
    const hidden = parseExplainOptions(options);
    if (hidden === undefined) {
      return { ...errorDetails(key, defaultValue, "GENERAL", NO_LIST_OF_NAMES, 0), trace: undefined };
    }
    const privateAttributes = [...this.privateAttributes, ...hidden];
    const { details, trace } = await this.#ask(key, defaultValue, { context: context ?? {}, privateAttributes });
    return { ...details, trace };
  }

  async #ask<T>(key: string, defaultValue: T, question: Question): Promise<Reply<T>> {
    try {
      const context = toContextMessage(question.context);
      context.privateAttributes = [...(question.privateAttributes ?? [])];
      const explain = question.privateAttributes !== undefined;
      const request = create(EvaluateRequestSchema, { environment: this.environment, flagKey: key, context, explain });
      const response = await this.transport.evaluate(request, this.timeoutMs);
      return { details: fromResponse(key, response, defaultValue), trace: response.trace };
    } catch (error) {
      const isUnknown = error instanceof TransportError && error.reason === "FLAG_NOT_FOUND";
      const code = isUnknown ? "FLAG_NOT_FOUND" : "GENERAL";
      const message = `${this.transport.address}: ${messageOf(error)}`;
      return { details: errorDetails(key, defaultValue, code, message, 0), trace: undefined };
    }
  }

  close(): Promise<void> {
    return this.transport.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function fromResponse<T>(key: string, response: EvaluateResponse, defaultValue: T): EvaluationDetails<T> {
  const revision = Number(response.revision);
  const value = response.value === undefined ? undefined : fromValue(response.value);
  const type = flagTypeOf(value);
  const mismatch = type === undefined ? undefined : typeMismatch(key, type, defaultValue);
  if (mismatch !== undefined) return errorDetails(key, defaultValue, "TYPE_MISMATCH", mismatch, revision);
  return toDetails(toOutcome(key, response, value), defaultValue, revision);
}

/** The server's words for reasons and errors are those of outcomes; newer ones pass through. */
function toOutcome(flagKey: string, response: EvaluateResponse, value: JsonValue | undefined): Outcome {
  const { error } = response;
  return {
    flagKey,
    value,
    variant: response.variant || undefined,
    reason: response.reason as Reason,
    ruleId: response.ruleId || undefined,
    prerequisiteKey: response.prerequisiteKey || undefined,
    errorCode: error === undefined ? undefined : (error.code as ErrorCode),
    errorMessage: error?.message,
    metadata: response.metadata as JsonValue | undefined,
  };
}
