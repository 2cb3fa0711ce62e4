const DEFAULT_PORT = 8013;

/**
 * The server's URL: `host`, `host:port` and `[ipv6]:port` mean plain HTTP, at port 8013 unless given; a URL says
 * whether there is TLS, and is at its scheme's own port unless given. Throws a `TypeError` for anything else.
 */
export function parseAddress(address: string): URL {
  const isUrl = address.includes("://");
  const hasPort = /:\d+$/.test(address.replace(/^.*\]/, ""));
  const text = isUrl ? address : `http://${address}${hasPort ? "" : `:${DEFAULT_PORT}`}`;
  if (!URL.canParse(text)) throw notAnAddress(address);
  const url = new URL(text);
  const isPlain = url.username === "" && url.password === "" && url.search === "" && url.hash === "";
  if (!/^https?:$/.test(url.protocol) || !isPlain || (!isUrl && url.pathname !== "/")) {
    throw notAnAddress(address);
  }
  return url;
}

/** Says what was given, but for a password in it. */
function notAnAddress(address: string): TypeError {
  const shown = JSON.stringify(address.replace(/\/\/.*@/, "//…@"));
  return new TypeError(
    `not an address: ${shown}. Expected host:port, such as 127.0.0.1:8013, or an http:// or https:// URL without a user`,
  );
}
