import type { OtlpEndpoint, OtlpSettings } from "../server/index.js";
import type { Setting } from "./config/find-setting.js";
import { usageFailure } from "./failure.js";

/** Reads where telemetry goes, and how much of it. */
export function parseOtlp(endpoint: Setting | undefined, share: Setting | undefined): OtlpSettings | undefined {
  if (endpoint === undefined) {
    if (share !== undefined) throw usageFailure(`${share.what} needs --otlp too`);
    return undefined;
  }
  return { ...parseEndpoint(endpoint), sample: share && parseShare(share) };
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

function parseShare({ text, what }: Setting): number {
  const share = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (share <= 1) return share;
  throw usageFailure(`${what} ${JSON.stringify(text)} is not a share from 0 to 1, such as 0.01`);
}
