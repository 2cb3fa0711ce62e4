/** What of OFREP a request is about. */
export type OfrepTarget = {
  readonly query: string;
} /** `key` is undefined where it is not percent-encoded right. */ & (
  | { readonly kind: "flag"; readonly key: string | undefined }
  | { readonly kind: "all" }
  | { readonly kind: "events" }
);

const ROOT = "/ofrep/v1/";
/** Where flags are evaluated: all of them, or the one whose key comes after it. */
export const FLAGS_PATH = `${ROOT}evaluate/flags`;
/** Where changes are told. Clients learn of it from an answer. */
export const EVENTS_PATH = `${ROOT}sse`;

/**
 * Undefined for what is not OFREP's. A path may end in a slash; a key's own slashes may be as they are. It may begin with more than
 * one, because clients put it behind a base URL as they were given it, and people end that in a slash.
 */
export function toOfrepTarget(given: string): OfrepTarget | undefined {
  const url = given.startsWith("//") ? given.replace(/^\/+/, "/") : given;
  if (!url.startsWith(ROOT)) return undefined;
  const queryAt = url.indexOf("?");
  const query = queryAt === -1 ? "" : url.slice(queryAt + 1);
  const whole = queryAt === -1 ? url : url.slice(0, queryAt);
  const path = whole.endsWith("/") ? whole.slice(0, -1) : whole;
  if (path === FLAGS_PATH) return { kind: "all", query };
  if (path === EVENTS_PATH) return { kind: "events", query };
  if (!path.startsWith(`${FLAGS_PATH}/`)) return undefined;
  return { kind: "flag", key: decode(path.slice(FLAGS_PATH.length + 1)), query };
}

function decode(text: string): string | undefined {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** One parameter of a query. */
export function queryParameter(query: string, name: string): string | undefined {
  return query === "" ? undefined : (new URLSearchParams(query).get(name) ?? undefined);
}
