import type { Context } from "../client/index.js";
import { checkFunction } from "./check-function.js";
import { isPromise } from "./is-promise.js";
import { createRequestFlags, type FlagSource, type RequestFlags } from "./request-flags.js";
import { createWarnOnce } from "./warn-once.js";

/** Where the flags of requests come from, and whom they are evaluated for. */
export interface RequestFlagsOptions<R> {
  /** A mirror. It stays yours to close. */
  readonly flags: FlagSource;
  /**
   * Makes the context of a request, at once. Default an empty one: nothing of a request is used that you do not name. One
   * that throws, or returns no object, leaves the request with an empty context.
   */
  readonly context?: (request: R) => Context;
  /** Hears why a context could not be built. Default a warning of the process, the first time. */
  readonly onError?: (error: unknown, request: R) => void;
}

const NO_CONTEXT: Context = Object.freeze({});

/** Makes the flags of a request. Those that it has already, if any, say of which revision. */
export type Binding<R> = (request: R, earlier?: RequestFlags) => RequestFlags;

/** A binding throws only what the source does; a mirror throws nothing. Throws a TypeError for options that cannot be meant. */
export function createBinding<R>(options: RequestFlagsOptions<R>): Binding<R> {
  const { flags: source, context: build = () => NO_CONTEXT } = options;
  if (typeof source?.pinned !== "function") {
    throw new TypeError("flags must be a mirror, as `await openMirror(...)` gives it");
  }
  checkFunction("context", options.context);
  checkFunction("onError", options.onError);
  const report = createReport(options.onError);
  return (request, earlier) => {
    let context = NO_CONTEXT;
    let hasFailedContext = false;
    try {
      context = checked(build(request));
    } catch (error) {
      hasFailedContext = true;
      report(error, request);
    }
    return createRequestFlags({ source, context, hasFailedContext }, earlier);
  };
}

/** What a builder returned may be anything, whatever its type says. */
function checked(context: unknown): Context {
  if (typeof context !== "object" || context === null) {
    throw new TypeError(
      `the context of a request must be an object, and is ${context === null ? "null" : typeof context}`,
    );
  }
  if (isPromise(context)) {
    // Nobody else looks at how it ends.
    Promise.resolve(context).catch(() => {});
    throw new TypeError("the context of a request must be there at once, and is a promise");
  }
  return context as Context;
}

/** A listener that throws must not break the request that it is told of. */
function createReport<R>(onError: RequestFlagsOptions<R>["onError"]): (error: unknown, request: R) => void {
  const warn = createWarnOnce(
    (reason) => `a request is without its context: ${reason}. Further ones are not told; see onError.`,
  );
  return (error, request) => {
    try {
      (onError ?? warn)(error, request);
    } catch {}
  };
}
