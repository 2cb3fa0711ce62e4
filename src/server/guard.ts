import type { DescMethod, Message } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { Gate } from "./access/gate.js";
import { GuardedCursor } from "./access/guarded-cursor.js";
import { concernsEverywhere, requiredRole } from "./access/permissions.js";
import { refuseEverywhere, refuseRole } from "./access/permit.js";
import { serveCursor } from "./cursor-stream.js";
import type { Call, CursorHandler, DirectHandler, Handler, ServedService } from "./handlers.js";
import { isRefusal, type Refusal } from "./refusal.js";
import { refuseUnencodable } from "./validate/encodable.js";

const NO_SIDE_EFFECTS = MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;

/** The same service, for those who may call it and for what can be kept. */
export function guardService(served: ServedService, gate: Gate): ServedService {
  const { service, handlers } = served;
  const guarded: Record<string, Handler<DescMethod>> = {};
  for (const method of service.methods) {
    const handler = handlers[method.localName];
    if (handler !== undefined) guarded[method.localName] = guardHandler(method, handler, gate);
  }
  return { ...served, handlers: guarded };
}

type Refuse = (call: Call) => Refusal | undefined;

function guardHandler(method: DescMethod, handler: Handler<DescMethod>, gate: Gate): Handler<DescMethod> {
  const needed = requiredRole(method);
  const isEverywhere = concernsEverywhere(method);
  const refuse: Refuse = (call) => {
    const identity = gate.identify(call);
    if (isRefusal(identity)) return identity;
    call.identity = identity;
    return refuseRole(call, needed) ?? (isEverywhere ? refuseEverywhere(call) : undefined);
  };
  const { direct, open } = handler as Shortcuts;
  if (open !== undefined) {
    // Also for transports that pull messages: rights may end while the stream goes on.
    return serveCursor((request: Message, call, onNews) => {
      return refuse(call) ?? GuardedCursor.open(gate, call, open, request, onNews);
    }) as unknown as Handler<DescMethod>;
  }
  const answer = handler as (request: unknown, call: Call) => unknown;
  // Streamed requests are looked at as they come; reads keep nothing, and are many.
  const mayWrite = method.methodKind === "unary" && method.idempotency !== NO_SIDE_EFFECTS;
  const streams = method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming";
  const guarded = (request: unknown, call: Call) => {
    const refusal = refuse(call) ?? (mayWrite ? refuseUnencodable(request) : undefined);
    if (refusal === undefined) return answer(request, call);
    return streams ? only(refusal) : refusal;
  };
  // What may write is always looked at as a message.
  if (mayWrite || direct === undefined) return guarded as Handler<DescMethod>;
  const guardedDirect: DirectHandler<Message> = (bytes, call) => refuse(call) ?? direct(bytes, call);
  return Object.assign(guarded, { direct: guardedDirect }) as Handler<DescMethod>;
}

/** What a transport may call in the place of a handler. */
interface Shortcuts {
  readonly direct?: DirectHandler<Message>;
  readonly open?: CursorHandler<Message, Message>;
}

async function* only(refusal: Refusal): AsyncGenerator<Refusal> {
  yield refusal;
}
