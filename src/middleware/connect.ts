import type { DescService } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ContextValues,
  createContextKey,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import { type ActiveFlagsHeader, activeFlagsName, listActiveFlags } from "./active-flags.js";
import { createBinding, type RequestFlagsOptions } from "./bind-flags.js";
import { checkFunction } from "./check-function.js";
import type { FlagRule } from "./flag-rule.js";
import {
  compileMethodRules,
  denialOf,
  problemOfService,
  type RequiredFlag,
  type RequiredFlags,
} from "./method-rules.js";
import type { FlagSource, RequestFlags } from "./request-flags.js";
import { createWarnOnce } from "./warn-once.js";

export type { FlagSource, RequestFlags, RequiredFlag, RequiredFlags };

/** What is known of a call before its handler runs. */
export type ConnectCall = UnaryRequest | StreamRequest;

export interface FlagwireInterceptorOptions extends RequestFlagsOptions<ConnectCall> {
  /** The flags that methods require. Default none. */
  readonly requireFlags?: RequiredFlags;
  /** The error of a call that is not let through. Default PermissionDenied. */
  readonly otherwise?: (call: ConnectCall, flags: RequestFlags) => ConnectError;
  /** Lists the active flags of those that were asked until the first message; `true` in `flagwire-flags`. Default off. */
  readonly header?: ActiveFlagsHeader;
}

/**
 * Those that an interceptor further out gave a call. The headers that arrived are its own; of context values, and of signals, a
 * program may have one for all.
 */
const flagsByHeader = new WeakMap<Headers, RequestFlags>();
const FLAGS = createContextKey<RequestFlags | undefined>(undefined, { description: "flags of the request" });

/** The flags of a call, in its handler. Throws where the interceptor has not seen the call. */
export function flagsOf({ values }: { readonly values: ContextValues }): RequestFlags {
  const flags = values.get(FLAGS);
  if (flags === undefined) throw new Error("the call has no flags: the handlers need flagwireInterceptor");
  return flags;
}

/**
 * An interceptor for the `interceptors` of Connect's adapters. It gives each call its flags, at the revision of its beginning,
 * and ends the calls whose method requires a flag that does not let them through. Throws a TypeError for options that cannot
 * be meant. A service of whose methods `requireFlags` names one that it does not have answers every call with Internal: which
 * one was meant is not known, and it would be open.
 */
export function flagwireInterceptor(options: FlagwireInterceptorOptions): Interceptor {
  const bind = createBinding(options);
  const rules = compileMethodRules(options.requireFlags);
  const check = createServiceCheck(rules);
  const headerName = activeFlagsName(options.header);
  const { otherwise } = options;
  checkFunction("otherwise", otherwise);
  return (next) => async (call) => {
    check(call.service);
    const method = `/${call.service.typeName}/${call.method.name}`;
    const flags = bind(call, flagsByHeader.get(call.header));
    flagsByHeader.set(call.header, flags);
    call.contextValues.set(FLAGS, flags);
    if (!(rules.get(method)?.(flags) ?? true)) {
      throw otherwise?.(call, flags) ?? new ConnectError(denialOf(method), Code.PermissionDenied);
    }
    const response = await next(call);
    return headerName === undefined ? response : withActiveFlags(response, headerName, flags);
  };
}

/** Throws a TypeError for services that the rules do not fit. An interceptor sees a service with its first call, not before. */
function createServiceCheck(rules: ReadonlyMap<string, FlagRule>): (service: DescService) => void {
  const problems = new WeakMap<DescService, string | false>();
  // Connect keeps an error's text from the caller, and nobody else hears of it.
  const warn = createWarnOnce((reason) => `a service is shut: ${reason}. Further ones are not told.`);
  return (service) => {
    let problem = problems.get(service);
    if (problem === undefined) {
      const methods = service.methods.map(({ name }) => name);
      problem = problemOfService(rules, service.typeName, methods) ?? false;
      problems.set(service, problem);
    }
    if (problem === false) return;
    warn(problem);
    throw new TypeError(problem);
  };
}

/** The handler of a stream has not begun yet; its headers are sent with its first message, or its end. */
function withActiveFlags(
  response: UnaryResponse | StreamResponse,
  headerName: string,
  flags: RequestFlags,
): UnaryResponse | StreamResponse {
  const write = (): void => {
    const list = listActiveFlags(flags);
    if (list !== undefined) response.header.set(headerName, list);
  };
  if (response.stream) return { ...response, message: beforeFirst(response.message, write) };
  write();
  return response;
}

async function* beforeFirst<T>(messages: AsyncIterable<T>, action: () => void): AsyncGenerator<T, void, undefined> {
  let isFirst = true;
  for await (const message of messages) {
    if (isFirst) action();
    isFirst = false;
    yield message;
  }
  if (isFirst) action();
}
