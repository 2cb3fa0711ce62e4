import { type DescMessage, fromBinary } from "@bufbuild/protobuf";
import {
  type EnvelopedMessage,
  pipe,
  transformJoinEnvelopes,
  transformSplitEnvelope,
  type UniversalServerRequest,
} from "@connectrpc/connect/protocol";
import { undecodable } from "../status.js";
import { toConnectError } from "./connect-status.js";

/**
 * A request whose binary messages are checked while its body is read: one that cannot be decoded is INVALID_ARGUMENT.
 * Connect itself answers INTERNAL, which blames the server, and offers no way to say otherwise; so these are decoded
 * twice. JSON, which Connect blames right, passes as it is, and so does what is compressed.
 */
export function checkBody(
  request: UniversalServerRequest,
  input: DescMessage,
  maxBytes: number,
): UniversalServerRequest {
  const body = request.body as AsyncIterable<Uint8Array>;
  switch (request.header.get("content-type")) {
    case "application/proto":
      if ((request.header.get("content-encoding") ?? "identity") !== "identity") return request;
      return { ...request, body: checkWhole(body, input, maxBytes) };
    case "application/connect+proto":
    case "application/grpc-web":
    case "application/grpc-web+proto": {
      const check = (messages: AsyncIterable<EnvelopedMessage>) => checkEach(messages, input);
      return { ...request, body: pipe(body, transformSplitEnvelope(maxBytes), check, transformJoinEnvelopes()) };
    }
    default:
      return request;
  }
}

/** Passes on more than `maxBytes` unchecked: Connect refuses that. */
async function* checkWhole(
  body: AsyncIterable<Uint8Array>,
  input: DescMessage,
  maxBytes: number,
): AsyncGenerator<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    size += chunk.byteLength;
    if (size > maxBytes) yield* chunks.splice(0);
  }
  if (size > maxBytes) return;
  const message = Buffer.concat(chunks);
  check(message, input);
  yield message;
}

async function* checkEach(
  messages: AsyncIterable<EnvelopedMessage>,
  input: DescMessage,
): AsyncGenerator<EnvelopedMessage> {
  for await (const message of messages) {
    if (message.flags === 0) check(message.data, input);
    yield message;
  }
}

function check(bytes: Uint8Array, input: DescMessage): void {
  try {
    fromBinary(input, bytes);
  } catch (cause) {
    throw toConnectError(undecodable(input, cause));
  }
}
