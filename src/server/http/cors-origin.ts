/**
 * Why a text is no origin that pages can be allowed by, and what to write; undefined if it is one, or `*`. Browsers send
 * scheme, host and port in lower case and without a default port, and origins are compared as they are.
 */
export function corsOriginProblem(text: string): string | undefined {
  if (text === "*") return undefined;
  const exact = toExactOrigin(text);
  if (exact === text) return undefined;
  const problem = `${JSON.stringify(text)} is not an origin as browsers send it`;
  return `${problem}; write ${exact ?? "one such as https://app.example.com, or * for all"}`;
}

/** What was probably meant; undefined where that cannot be told. */
function toExactOrigin(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const { protocol, hostname, origin } = new URL(text);
  if (protocol === "http:" || protocol === "https:") return hostname.includes("*") ? undefined : origin;
  // Those of apps and extensions, such as `capacitor://localhost`, have no origin by the rules of URLs.
  return /^[a-z][a-z0-9+.-]*:\/\/[a-z0-9._-]+(:\d+)?/.exec(text)?.[0];
}
