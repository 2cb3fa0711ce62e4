import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  type StatusObject,
  status,
} from "@grpc/grpc-js";
import { type ActiveFlagsHeader, activeFlagsName, listActiveFlags } from "./active-flags.js";
import { createBinding, type RequestFlagsOptions } from "./bind-flags.js";
import { compileMethodRules, denialOf, type RequiredFlag, type RequiredFlags } from "./method-rules.js";
import type { FlagSource, RequestFlags } from "./request-flags.js";

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
  /** The status of a call that is not let through. Default PERMISSION_DENIED. OK is taken for that too. */
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
 * beginning, and ends the calls whose method requires a flag that does not let them through. Throws a TypeError for options
 * that cannot be meant.
 */
export function flagwireInterceptor(options: FlagwireInterceptorOptions): ServerInterceptor {
  const bind = createBinding(options);
  const rules = compileMethodRules(options.requireFlags);
  const headerName = metadataName(options.header);
  const deny = options.otherwise ?? (() => ({}));
  return ({ path: method }, call) => {
    let flags: RequestFlags | undefined;
    return new ServerInterceptingCall(call, {
      start(next) {
        next({
          onReceiveMetadata(metadata, receive) {
            let denial: Denial | undefined;
            try {
              const asked: GrpcCall = { method, metadata, call };
              flags = bind(asked);
              flagsByMetadata.set(metadata, flags);
              if (!(rules.get(method)?.(flags) ?? true)) denial = toDenial(deny, asked, flags);
            } catch (error) {
              // As a handler that throws: what leaves an interceptor ends the process, and nobody answers the call.
              denial = { code: status.UNKNOWN, details: `the flags threw: ${String(error)}` };
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
    });
  };
}

/** A denial that fails, or calls itself OK, must not let anybody through. */
function toDenial(
  deny: (call: GrpcCall, flags: RequestFlags) => Partial<StatusObject>,
  call: GrpcCall,
  flags: RequestFlags,
): Denial {
  const denial: Denial = { code: status.PERMISSION_DENIED, details: denialOf(call.method) };
  try {
    const { code, details, metadata } = deny(call, flags);
    return { code: code || denial.code, details: details ?? denial.details, metadata: metadata ?? null };
  } catch {
    return denial;
  }
}

type Denial = Parameters<ServerInterceptingCallInterface["sendStatus"]>[0];

function metadataName(header: ActiveFlagsHeader | undefined): string | undefined {
  const name = activeFlagsName(header)?.toLowerCase();
  if (name === undefined) return undefined;
  if (!/^[0-9a-z_.-]+$/.test(name) || name.startsWith("grpc-") || name.endsWith("-bin")) {
    throw new TypeError(`header must be a name for metadata that are text, and is ${JSON.stringify(header)}`);
  }
  return name;
}
