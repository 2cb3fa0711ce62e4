import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from "fastify";
import { type ActiveFlagsHeader, activeFlagsName, listActiveFlags } from "./active-flags.js";
import { createBinding, type RequestFlagsOptions } from "./bind-flags.js";
import { checkFunction } from "./check-function.js";
import { compileFlagRule } from "./flag-rule.js";
import { createHttpDenial, type HttpDenialOptions } from "./http-denial.js";
import { addLateHeader } from "./late-header.js";
import type { FlagSource, RequestFlags } from "./request-flags.js";

declare module "fastify" {
  interface FastifyRequest {
    /** The flags of this request, once the hook of `flagwirePlugin` has run. */
    flags: RequestFlags;
  }
}

export type { FlagSource, RequestFlags };

export interface FlagwirePluginOptions extends RequestFlagsOptions<FastifyRequest> {
  /**
   * When the context is built and the flags are pinned. Default `onRequest`, in the order in which plugins are registered; where
   * it needs the body, or what a later hook finds out, `preHandler`.
   */
  readonly hook?: "onRequest" | "preHandler";
  /** Lists the active flags of those that were asked until the headers are sent; `true` in `flagwire-flags`. Default off. */
  readonly header?: ActiveFlagsHeader;
}

export interface RequireFlagOptions extends HttpDenialOptions {
  /**
   * Answers who is not let through: sends a reply, or returns what to send. The route's handler does not run in any case.
   * Default a status and a problem document.
   */
  readonly otherwise?: (request: FastifyRequest, reply: FastifyReply) => unknown;
}

/** A hook for `onRequest`, `preValidation` or `preHandler` of a route, or an application, on any kind of server. */
export type FlagHook = (
  request: Pick<FastifyRequest, "flags">,
  reply: Pick<FastifyReply, "sent">,
  next: (error?: Error) => void,
) => void;

/**
 * Gives each request its flags, as `request.flags`, at one revision; in all plugins of the instance that it is registered with.
 * One that is registered further in gives the requests of there another context.
 */
export const flagwirePlugin: FastifyPluginAsync<FlagwirePluginOptions> = Object.assign(register, {
  [Symbol.for("skip-override")]: true,
  [Symbol.for("fastify.display-name")]: "flagwire",
  [Symbol.for("plugin-meta")]: { name: "flagwire", fastify: "5.x" },
});

/** What marks the instances whose requests have flags of ours. */
const OURS = Symbol("flagwire");

/** Asynchronous, because what an application hears of is the rejection. */
async function register(app: FastifyInstance, options: FlagwirePluginOptions): Promise<void> {
  const bind = createBinding(options);
  const headerName = activeFlagsName(options.header);
  const { hook = "onRequest" } = options;
  if (hook !== "onRequest" && hook !== "preHandler") throw new TypeError('hook must be "onRequest" or "preHandler"');
  // A decorator of somebody else by that name keeps the application from starting.
  if (!app.hasDecorator(OURS)) app.decorateRequest("flags").decorate(OURS, true);
  const pin = (request: FastifyRequest & { flags?: RequestFlags }, reply: FastifyReply, next: () => void): void => {
    request.flags = bind(request, request.flags);
    // By the flags of then: the plugin of a scope further in may have given it others.
    const list = (): string | undefined => request.flags && listActiveFlags(request.flags);
    if (headerName !== undefined) addLateHeader(reply.raw, headerName, list);
    next();
  };
  if (hook === "preHandler") app.addHook("preHandler", pin);
  else app.addHook("onRequest", pin);
}

/**
 * Lets through the requests for which a boolean flag is true, or which it gives one of the variants that you accept. Needs
 * `flagwirePlugin`. Throws a TypeError or RangeError for options that cannot be meant.
 */
export function requireFlag(key: string, options: RequireFlagOptions = {}): FlagHook {
  const permits = compileFlagRule(key, options);
  const denial = createHttpDenial(options);
  const { otherwise } = options;
  checkFunction("otherwise", otherwise);
  // Not asynchronous: Fastify goes on when such a hook settles, and one that waits for its reply settles too when the client leaves.
  const hook = (request: FastifyRequest, reply: FastifyReply, next: (error?: Error) => void): void => {
    const { flags }: { flags?: RequestFlags } = request;
    if (!flags) next(new Error(`requireFlag("${key}") needs flagwirePlugin, and its hook before this one`));
    else if (permits(flags)) next();
    else if (otherwise === undefined) reply.code(denial.status).headers(denial.headers).send(denial.body);
    else answer(otherwise, request, reply).catch((error) => next(error || new Error("otherwise threw nothing")));
  };
  return hook as FlagHook;
}

async function answer(
  otherwise: NonNullable<RequireFlagOptions["otherwise"]>,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  // Where that is the reply, there is nothing more to send by the time that it resolves.
  const payload = await otherwise(request, reply);
  if (payload !== undefined && !reply.sent) reply.send(payload);
}
