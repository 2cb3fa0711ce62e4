import type { IncomingMessage, ServerResponse } from "node:http";
import { type ActiveFlagsHeader, activeFlagsName, listActiveFlags } from "./active-flags.js";
import { createBinding, type RequestFlagsOptions } from "./bind-flags.js";
import { checkFunction } from "./check-function.js";
import { compileFlagRule } from "./flag-rule.js";
import { createHttpDenial, type HttpDenialOptions } from "./http-denial.js";
import { isPromise } from "./is-promise.js";
import { addLateHeader } from "./late-header.js";
import type { FlagSource, RequestFlags } from "./request-flags.js";

declare global {
  namespace Express {
    interface Request {
      /** The flags of this request, once `flagwireMiddleware` has run. */
      flags: RequestFlags;
    }
  }
}

export type { FlagSource, RequestFlags };

/** Goes on to the next handler, or to the error handlers. */
export type Next = (error?: unknown) => void;

/** A handler of Express, or of anything that calls handlers of `node:http` as it does. */
export type Handler<Req, Res> = (req: Req, res: Res, next: Next) => unknown;

export interface FlagwireMiddlewareOptions<Req> extends RequestFlagsOptions<Req> {
  /** Lists the active flags of those that were asked until the headers are sent; `true` in `flagwire-flags`. Default off. */
  readonly header?: ActiveFlagsHeader;
}

export interface RequireFlagOptions<Req, Res> extends HttpDenialOptions {
  /** Answers who is not let through, or lets them through after all by `next()`. Default a status and a problem document. */
  readonly otherwise?: Handler<Req, Res>;
}

/** Gives each request its flags, as `req.flags`, at the revision of now. Belongs behind what the context is made of. */
export function flagwireMiddleware<Req extends IncomingMessage>(
  options: FlagwireMiddlewareOptions<Req>,
): (req: Req, res: ServerResponse, next: Next) => void {
  const bind = createBinding(options);
  const headerName = activeFlagsName(options.header);
  return (req, res, next) => {
    const owner: Req & { flags?: RequestFlags } = req;
    owner.flags = bind(req, owner.flags);
    // By the flags of then: the middleware of a route may have given it others.
    if (headerName !== undefined) addLateHeader(res, headerName, () => owner.flags && listActiveFlags(owner.flags));
    next();
  };
}

/**
 * Lets through the requests for which a boolean flag is true, or which it gives one of the variants that you accept. Needs
 * `flagwireMiddleware` before it. Throws a TypeError or RangeError for options that cannot be meant.
 */
export function requireFlag(
  key: string,
  options?: HttpDenialOptions & { readonly otherwise?: never },
): Handler<IncomingMessage, ServerResponse>;
export function requireFlag<
  Req extends IncomingMessage = IncomingMessage & Express.Request,
  Res extends ServerResponse = ServerResponse,
>(key: string, options: RequireFlagOptions<Req, Res>): Handler<Req, Res>;
export function requireFlag<Req extends IncomingMessage, Res extends ServerResponse>(
  key: string,
  options: RequireFlagOptions<Req, Res> = {},
): Handler<Req, Res> {
  const permits = compileFlagRule(key, options);
  const denial = createHttpDenial(options);
  const { otherwise } = options;
  checkFunction("otherwise", otherwise);
  return (req, res, next) => {
    const { flags } = req as Req & { readonly flags?: RequestFlags };
    if (flags === undefined) return next(new Error(`requireFlag("${key}") needs flagwireMiddleware before it`));
    if (permits(flags)) return next();
    if (otherwise !== undefined) return passRejection(otherwise(req, res, next), next);
    res.statusCode = denial.status;
    for (const [name, value] of Object.entries(denial.headers)) res.setHeader(name, value);
    return res.end(denial.body);
  };
}

/** Express 4, and whatever else waits for no promise, would leave the rejection to the process. */
function passRejection(answer: unknown, next: Next): unknown {
  if (!isPromise(answer)) return answer;
  return Promise.resolve(answer).catch((error) => next(error || new Error("otherwise threw nothing")));
}
