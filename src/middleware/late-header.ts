import type { ServerResponse } from "node:http";

/**
 * Gives a response one more header when its headers are sent, unless it has it by then. All ways to send them lead through
 * `writeHead`. The value is asked for then; undefined is for no header.
 */
export function addLateHeader(res: ServerResponse, name: string, toValue: () => string | undefined): void {
  const { writeHead } = res;
  res.writeHead = (...given: unknown[]) => {
    const value = res.headersSent ? undefined : toValue();
    const headers = given.at(-1);
    // Beside headers that are set, Node takes a name that such a list has twice, as it may have cookies, for once.
    if (value !== undefined && Array.isArray(headers)) given.splice(-1, 1, withHeader(headers, name, value));
    else if (value !== undefined && !res.hasHeader(name)) res.setHeader(name, value);
    return Reflect.apply(writeHead, res, given);
  };
}

/** Names and values in turn, or in pairs, as `writeHead` takes them. */
function withHeader(headers: readonly unknown[], name: string, value: string): readonly unknown[] {
  const isOfPairs = Array.isArray(headers[0]);
  const flat = isOfPairs ? headers.flat() : headers;
  const isThere = flat.some((text, index) => index % 2 === 0 && String(text).toLowerCase() === name.toLowerCase());
  if (isThere) return headers;
  return isOfPairs ? [...headers, [name, value]] : [...headers, name, value];
}
