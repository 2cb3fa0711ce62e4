import type { OtlpEndpoint, OtlpSettings } from "../server/index.js";
import type { Setting } from "./config/find-setting.js";
import { usageFailure } from "./failure.js";
import { parseShare } from "./parse-share.js";

/** Reads where telemetry goes, and how much of it. */
export function parseOtlp(endpoint: Setting | undefined, share: Setting | undefined): OtlpSettings | undefined {
  if (endpoint === undefined) {
    if (share !== undefined) throw usageFailure(`${share.what} needs --otlp too`);
    return undefined;
  }
  return { ...parseEndpoint(endpoint), sample: share && parseShare(share, "allowed") };
}

/** A user and password in it become what is presented there. */
export function parseEndpoint(setting: Setting): OtlpEndpoint {
  const { text } = setting;
  if (!URL.canParse(text)) throw notAnEndpoint(setting);
  const url = new URL(text);
  if (!/^https?:$/.test(url.protocol) || url.search !== "" || url.hash !== "") throw notAnEndpoint(setting);
  const path = url.pathname.replace(/\/+$/, "");
  const [signal] = /\/v1\/(traces|logs)$/.exec(path) ?? [];
  if (signal !== undefined) {
    throw usageFailure(`${setting.what} is the endpoint for all signals; leave out ${signal}, which is added`);
  }
  const { username, password } = url;
  if (username === "" && password === "") return { url: `${url.origin}${path}`, authorization: undefined };
  const credentials = Buffer.from(`${decode(username, setting)}:${decode(password, setting)}`).toString("base64");
  return { url: `${url.origin}${path}`, authorization: `Basic ${credentials}` };
}

function decode(text: string, setting: Setting): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw notAnEndpoint(setting);
  }
}

/** Says what was given, but for who logs in with what. */
function notAnEndpoint({ text, what }: Setting) {
  const shown = JSON.stringify(text.replace(/\/\/.*@/, "//…@"));
  return usageFailure(`${what} ${shown} is not an http:// or https:// URL, such as http://127.0.0.1:4318`);
}
