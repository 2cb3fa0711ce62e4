import type { DescMethod, Message } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { Gate } from "./access/gate.js";
import { GuardedCursor } from "./access/guarded-cursor.js";
import { guardAnswers, guardRequests, type StreamRights } from "./access/guarded-stream.js";
import { concernsEverywhere, requiredRole, requiredRoleFor } from "./access/permissions.js";
import { refuseEverywhere, refuseRole } from "./access/permit.js";
import { serveCursor } from "./cursor-stream.js";
import type { AnswerStream, Call, CursorHandler, DirectHandler, Handler, ServedService } from "./handlers.js";
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

type Refuse = (call: Call, request?: unknown) => Refusal | undefined;

function guardHandler(method: DescMethod, handler: Handler<DescMethod>, gate: Gate): Handler<DescMethod> {
  const needed = requiredRole(method);
  const isEverywhere = concernsEverywhere(method);
  const refuse: Refuse = (call, request) => {
    const identity = gate.identify(call);
    if (isRefusal(identity)) return identity;
    // A handler may be asked after a direct one: it is one call all the same.
    const isNew = call.identity === undefined;
    call.identity = identity;
    const refusal = isNew ? gate.refuseCall(identity) : undefined;
    const role = requiredRoleFor(request, needed);
    return refusal ?? refuseRole(call, role) ?? (isEverywhere ? refuseEverywhere(call) : undefined);
  };
  const { direct, open } = handler as Shortcuts;
  if (open !== undefined) {
    // Also for transports that pull messages: rights may end while the stream goes on.
    return serveCursor((request: Message, call, onNews) => {
      return refuse(call) ?? GuardedCursor.open(gate, call, open, request, onNews);
    }) as unknown as Handler<DescMethod>;
  }
  if (method.methodKind !== "unary") return guardStream(method, handler as unknown as Streaming, refuse, gate);
  const answer = handler as (request: unknown, call: Call) => unknown;
  // Reads keep nothing, and are many.
  const mayWrite = method.idempotency !== NO_SIDE_EFFECTS;
  const guarded = (request: unknown, call: Call) =>
    refuse(call, request) ?? (mayWrite ? refuseUnencodable(request) : undefined) ?? answer(request, call);
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

/** The handler of a stream that is no cursor: its answer, or many. */
type Streaming = (input: AsyncIterable<Message>, call: Call) => unknown;

/** Such streams may take long, and end too when their caller would not be let in any more. */
function guardStream({ methodKind }: DescMethod, handler: Streaming, refuse: Refuse, gate: Gate): Handler<DescMethod> {
  const rightsOf = ({ identity }: Call): StreamRights => ({
    isAdmitted: () => identity !== undefined && gate.admits(identity),
    open: () => (identity === undefined ? () => undefined : gate.openStream(identity)),
  });
  const guarded: Streaming =
    methodKind === "client_streaming"
      ? (requests, call) => {
          const answer = (admitted: AsyncIterable<Message>) => handler(admitted, call) as Promise<unknown>;
          return refuse(call) ?? guardRequests(requests, rightsOf(call), answer);
        }
      : (input, call) => {
          const refusal = refuse(call);
          if (refusal !== undefined) return only(refusal);
          return guardAnswers(handler(input, call) as AnswerStream<Message>, rightsOf(call));
        };
  return guarded as unknown as Handler<DescMethod>;
}

async function* only(refusal: Refusal): AsyncGenerator<Refusal> {
  yield refusal;
}
