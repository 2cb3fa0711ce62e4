import type { DescMethod, Message } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { refuseAccess } from "./access.js";
import type { Call, CursorHandler, DirectHandler, Handler, ServedService } from "./handlers.js";
import type { Refusal } from "./refusal.js";
import { refuseUnencodable } from "./validate/encodable.js";

const NO_SIDE_EFFECTS = MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;

/** The same service, for those who may call it and for what can be kept. */
export function guardService(served: ServedService): ServedService {
  const { service, handlers } = served;
  const guarded: Record<string, Handler<DescMethod>> = {};
  for (const method of service.methods) {
    const handler = handlers[method.localName];
    if (handler !== undefined) guarded[method.localName] = guardHandler(method, handler);
  }
  return { ...served, handlers: guarded };
}

function guardHandler(method: DescMethod, handler: Handler<DescMethod>): Handler<DescMethod> {
  const answer = handler as (request: unknown, call: Call) => unknown;
  // Streamed requests are looked at as they come; reads keep nothing, and are many.
  const mayWrite = method.methodKind === "unary" && method.idempotency !== NO_SIDE_EFFECTS;
  const streams = method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming";
  const guarded = (request: unknown, call: Call) => {
    const refusal = refuseAccess(call) ?? (mayWrite ? refuseUnencodable(request) : undefined);
    if (refusal === undefined) return answer(request, call);
    return streams ? only(refusal) : refusal;
  };
  // What may write is always looked at as a message.
  const shortcuts = mayWrite ? {} : guardShortcuts(handler as Shortcuts);
  return Object.assign(guarded, shortcuts) as Handler<DescMethod>;
}

/** What a transport may call in the place of a handler. */
interface Shortcuts {
  readonly direct?: DirectHandler<Message>;
  readonly open?: CursorHandler<Message, Message>;
}

function guardShortcuts({ direct, open }: Shortcuts): Shortcuts {
  return {
    ...(direct && { direct: (bytes, call) => refuseAccess(call) ?? direct(bytes, call) }),
    ...(open && { open: (request, call, onNews) => refuseAccess(call) ?? open(request, call, onNews) }),
  };
}

async function* only(refusal: Refusal): AsyncGenerator<Refusal> {
  yield refusal;
}
