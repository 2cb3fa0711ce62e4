import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { authorOf } from "../access/author.js";
import type { KeptContexts } from "../contexts/kept-contexts.js";
import type { Call } from "../handlers.js";
import type { OrRefusal } from "../refusal.js";
import type { Head } from "../state/head.js";
import { fingerprintOf, type WriteRequest } from "./write-request.js";
import type { Write, Writer } from "./writer.js";

/** What the handlers of AdminService work with. */
export interface Admin {
  readonly head: Head;
  readonly writer: Writer;
  readonly contexts: KeptContexts;
}

/** Makes one change on behalf of a call. */
export function writeFor<D extends DescMessage, T>(
  admin: Admin,
  schema: D,
  request: MessageShape<D> & WriteRequest,
  call: Call,
  steps: Pick<Write<T>, "draft" | "answer">,
): Promise<OrRefusal<T>> {
  return admin.writer.write({
    fields: request,
    fingerprint: fingerprintOf(schema, [request]),
    author: authorOf(call),
    signal: call.signal,
    trace: call.trace,
    ...steps,
  });
}
