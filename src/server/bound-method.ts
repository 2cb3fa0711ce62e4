import type { DescMethod, Message } from "@bufbuild/protobuf";
import { invariant } from "../base/index.js";
import type { Answered, AnswerStream, Call, CursorHandler, DirectHandler, ServedService } from "./handlers.js";

export type Answer = Answered<Message>;
export type UnaryFunction = (request: Message, call: Call) => Answer | Promise<Answer>;
export type ServerStreamFunction = (request: Message, call: Call) => AnswerStream<Message>;
export type ClientStreamFunction = (requests: AsyncIterable<Message>, call: Call) => Promise<Answer>;
export type BidiFunction = (requests: AsyncIterable<Message>, call: Call) => AnswerStream<Message>;

/** A method with its handler, by its kind, as a transport needs them. */
export type BoundMethod = { readonly method: DescMethod; readonly name: string } & (
  | { readonly kind: "unary"; readonly handle: UnaryFunction; readonly direct: DirectHandler<Message> | undefined }
  | {
      readonly kind: "server_streaming";
      readonly handle: ServerStreamFunction;
      readonly open: CursorHandler<Message, Message> | undefined;
    }
  | { readonly kind: "client_streaming"; readonly handle: ClientStreamFunction }
  | { readonly kind: "bidi_streaming"; readonly handle: BidiFunction }
);

/**
 * The methods of a service with their handlers. `serveService` has checked each handler against its descriptor, and
 * transports decode every request by that descriptor: so the types may be forgotten here, and only here.
 */
export function bindMethods(served: ServedService): BoundMethod[] {
  return served.service.methods.map((method) => {
    const handler = served.handlers[method.localName];
    const { direct, open } = { ...handler } as { readonly direct?: unknown; readonly open?: unknown };
    const name = `${served.service.typeName}/${method.name}`;
    invariant(typeof handler === "function", `${name} has no handler`);
    return {
      method,
      name,
      kind: method.methodKind,
      handle: handler.bind(served.handlers),
      direct,
      open,
    } as unknown as BoundMethod;
  });
}
