import type { UniversalServerResponse } from "@connectrpc/connect/protocol";

/** What Connect says of JSON that it cannot decode: what was to be decoded, and why not. */
const COMPLAINT = /^(cannot decode .{1,300}? from JSON): ([\s\S]*)$/;
/** Reasons as far as they quote nothing but names. */
const REASON =
  /^(?:key "[^"]{0,128}" is unknown|duplicate object key "[^"]{0,128}"|expected \w[\w.() ]*|oneof set multiple times[\w ]*|set multiple times|(?:list item|map value) must not be null|maximum recursion depth of \d+ reached|invalid RFC 3339 string|must be from \S+ to \S+ inclusive|[\w ',}\]:-]{1,80} JSON at position \d+|Unexpected end of JSON input)/;

/**
 * The same answer without the values that Connect quotes of a request in JSON: they may be a user's, and what a client is told
 * gets into its log.
 */
export async function unquoted(from: UniversalServerResponse): Promise<UniversalServerResponse> {
  const { status, header, body } = from;
  const isPlain = header?.get("content-type") === "application/json" && !header.has("content-encoding");
  if (status !== 400 || body === undefined || !isPlain) return from;
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  const error: { message?: string } = JSON.parse(Buffer.concat(chunks).toString());
  if (error.message !== undefined) error.message = withoutValues(error.message);
  const bytes = Buffer.from(JSON.stringify(error));
  header.set("content-length", String(bytes.byteLength));
  return { ...from, body: only(bytes) };
}

function withoutValues(message: string): string {
  const [, what, why = ""] = COMPLAINT.exec(message) ?? [];
  if (what === undefined) return message;
  if (why.endsWith(" is not valid JSON")) return `${what}: it is not valid JSON`;
  const [reason] = REASON.exec(why) ?? [];
  return reason === undefined ? what : `${what}: ${reason}`;
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
