import type { IncomingHttpHeaders } from "node:http2";
import {
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  type StatusObject,
  status,
} from "@grpc/grpc-js";
import { type ActiveFlagsHeader, activeFlagsName, listActiveFlags } from "./active-flags.js";
import { createBinding, type RequestFlagsOptions } from "./bind-flags.js";
import { checkFunction } from "./check-function.js";
import { isPromise } from "./is-promise.js";
import { compileMethodRules, denialOf, type RequiredFlag, type RequiredFlags } from "./method-rules.js";
import type { FlagSource, RequestFlags } from "./request-flags.js";
import { createWarnOnce } from "./warn-once.js";

export type { FlagSource, RequestFlags, RequiredFlag, RequiredFlags };

/** What is known of a call before its handler runs. */
export interface GrpcCall {
  /** `/package.Service/Method`. */
  readonly method: string;
  readonly metadata: Metadata;
  /** The call as grpc-js gives it to interceptors, for its peer, host, deadline and certificate. */
  readonly call: ServerInterceptingCallInterface;
}

export interface FlagwireInterceptorOptions extends RequestFlagsOptions<GrpcCall> {
  /** The flags that methods require. Default none. */
  readonly requireFlags?: RequiredFlags;
  /**
   * The status of a call that is not let through, at once. Default PERMISSION_DENIED. OK is taken for that too; one that throws,
   * or returns no status, ends the call with INTERNAL.
   */
  readonly otherwise?: (call: GrpcCall, flags: RequestFlags) => Partial<StatusObject>;
  /** Lists the active flags of those that were asked until the initial metadata are sent; `true` in `flagwire-flags`. Default off. */
  readonly header?: ActiveFlagsHeader;
}

/** The metadata of a call are the one object that interceptors and handlers share. */
const flagsByMetadata = new WeakMap<object, RequestFlags>();

/** The flags of a call, in its handler. Throws where the interceptor has not seen the call. */
export function flagsOf({ metadata }: { readonly metadata: object }): RequestFlags {
  const flags = flagsByMetadata.get(metadata);
  if (flags !== undefined) return flags;
  throw new Error("the call has no flags: the server needs flagwireInterceptor, after those that replace its metadata");
}

/**
 * An interceptor for `new Server({ interceptors: [...] })` of grpc-js. It gives each call its flags, at the revision of its
 * beginning, and ends the calls whose method requires a flag that does not let them through. A call whose handler throws ends
 * with INTERNAL. Throws a TypeError for options that cannot be meant.
 */
export function flagwireInterceptor(options: FlagwireInterceptorOptions): ServerInterceptor {
  const bind = createBinding(options);
  const rules = compileMethodRules(options.requireFlags);
  const headerName = metadataName(options.header);
  checkFunction("otherwise", options.otherwise);
  const deny = options.otherwise ?? (() => ({}));
  const warn = createWarnOnce((reason) => `a call ended with INTERNAL: ${reason}. Further ones are not told.`);
  return ({ path: method }, call) => {
    let flags: RequestFlags | undefined;
    return new ServerInterceptingCall(call, {
      start(next) {
        next({
          onReceiveMetadata(metadata, receive) {
            let denial: Ending | undefined;
            try {
              const asked: GrpcCall = { method, metadata, call };
              flags = bind(asked, flagsByMetadata.get(metadata));
              flagsByMetadata.set(metadata, flags);
              if (!(rules.get(method)?.(flags) ?? true)) denial = toDenial(deny, asked, flags);
            } catch (error) {
              // What leaves an interceptor ends the process, and nobody answers the call.
              denial = INTERNAL;
              warn(error);
            }
            if (denial === undefined) receive(metadata);
            else call.sendStatus(denial);
          },
        });
      },
      sendMetadata(metadata, next) {
        const list = headerName && flags && listActiveFlags(flags);
        if (!headerName || !list) return next(metadata);
        // The handler may send the same object for many calls.
        const listing = metadata.clone();
        listing.set(headerName, list);
        next(listing);
      },
      sendStatus(ending, next) {
        next(isOfThrown(ending) ? INTERNAL : ending);
      },
    });
  };
}

/** A denial that calls itself OK must not let anybody through. Throws for one that grpc-js would throw for while it sends it. */
function toDenial(
  deny: (call: GrpcCall, flags: RequestFlags) => Partial<StatusObject>,
  call: GrpcCall,
  flags: RequestFlags,
): Ending {
  const denial: unknown = deny(call, flags);
  if (typeof denial !== "object" || denial === null) throw new TypeError("otherwise must return a status");
  if (isPromise(denial)) {
    // Nobody else looks at how it ends.
    Promise.resolve(denial).catch(() => {});
    throw new TypeError("otherwise must return a status at once, and returns a promise");
  }
  const { code, details = denialOf(call.method), metadata }: Partial<StatusObject> = denial;
  if (code !== undefined && typeof status[code] !== "string") {
    throw new TypeError(`otherwise must return a code of gRPC's, and returns ${JSON.stringify(code)}`);
  }
  if (typeof details !== "string") throw new TypeError("otherwise must return details that are text");
  return {
    code: code || status.PERMISSION_DENIED,
    // Halves of characters cannot be sent.
    details: details.replace(/\p{Surrogate}/gu, "\u{fffd}"),
    // Of the program's own grpc-js, which may be another copy than ours; what is none throws here.
    metadata: metadata ? Metadata.fromHttp2Headers(metadata.toHttp2Headers() as IncomingHttpHeaders) : null,
  };
}

/** Whether grpc-js made a status of what a handler threw: interceptors see no more of it. */
function isOfThrown({ code, details, metadata }: Ending): boolean {
  if (code !== status.UNKNOWN || metadata) return false;
  return details === "Unknown error" || details?.startsWith("Server method handler threw error ") === true;
}

const INTERNAL = { code: status.INTERNAL, details: "internal error" } as const;

/** How a call ends. Anything may be left out. */
type Ending = Parameters<ServerInterceptingCallInterface["sendStatus"]>[0];

function metadataName(header: ActiveFlagsHeader | undefined): string | undefined {
  const name = activeFlagsName(header)?.toLowerCase();
  if (name === undefined) return undefined;
  if (!/^[0-9a-z_.-]+$/.test(name) || name.startsWith("grpc-") || name.endsWith("-bin")) {
    throw new TypeError(`header must be a name for metadata that are text, and is ${JSON.stringify(header)}`);
  }
  return name;
}
