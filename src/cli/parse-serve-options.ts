import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { type DecisionOptions, type DecisionTarget, defaultCallerLimits } from "../server/index.js";
import { defaultAddress, type HostPort, parseHostPort } from "./address.js";
import { findSetting, type Setting } from "./config/find-setting.js";
import type { ConfigFile } from "./config/parse-config-file.js";
import { dataDirectory } from "./data-directory.js";
import { usageFailure } from "./failure.js";
import { LOG_LEVELS, type LogLevel, toLogLevel } from "./logger.js";
import { parseAnonymousRole } from "./parse-anonymous-role.js";
import { parseClientRoles } from "./parse-client-roles.js";
import { parseCorsOrigins } from "./parse-cors-origins.js";
import { parseEndpoint, parseOtlp } from "./parse-otlp.js";
import { parseShare } from "./parse-share.js";
import { defaultFlagdPorts, type FlagdPorts, type GivenServeOptions, type ServeOptions } from "./serve-options.js";

type Variables = Readonly<Record<string, string | undefined>>;

/** Reads each from its option, else its environment variable, else the file, else takes its default. */
export function parseServeOptions(given: GivenServeOptions, env: Variables, file?: ConfigFile): ServeOptions {
  const setting = (name: string, option: string | undefined) => findSetting(name, option, env, file);
  const listening = setting("listen", given.listen) ?? { text: defaultAddress, what: "--listen" };
  const listen = parseHostPort(listening.text, listening.what);
  const workers = setting("workers", given.workers);
  const flagdPorts = setting("flagd-ports", given.flagdPorts === true ? "true" : given.flagdPorts);
  const corsOrigins = setting("cors-origins", given.corsOrigins);
  const rateLimit = setting("ofrep-rate-limit", given.ofrepRateLimit);
  const tokenRate = setting("token-rate-limit", given.tokenRateLimit);
  const tokenStreams = setting("token-streams", given.tokenStreams);
  const drainDelay = setting("drain-delay", given.drainDelay);
  const decisions = setting("decisions", given.decisions);
  const decisionsSample = setting("decisions-sample", given.decisionsSample);
  const anonymousRole = setting("anonymous-role", given.anonymousRole);
  const tls = parseTls({
    cert: setting("tls-cert", given.tlsCert),
    key: setting("tls-key", given.tlsKey),
    clientCa: setting("tls-client-ca", given.tlsClientCa),
    clientRoles: setting("tls-client-roles", given.tlsClientRoles),
  });
  return {
    listen,
    allowAnonymous: given.allowAnonymous ?? false,
    anonymousRole: anonymousRole && parseAnonymousRole(anonymousRole),
    data: dataDirectory(setting("data", given.data)?.text, {}),
    seed: setting("import", given.import)?.text,
    workers: workers === undefined ? 1 : parseWorkers(workers),
    flagdPorts: flagdPorts === undefined ? undefined : parseFlagdPorts(flagdPorts, listen),
    web: {
      corsOrigins: corsOrigins === undefined ? [] : parseCorsOrigins(corsOrigins.text, corsOrigins.what),
      ofrepRequestsPerSecond: rateLimit === undefined ? 0 : parseNumber(rateLimit, "requests a second"),
    },
    ...tls,
    otlp: parseOtlp(setting("otlp", given.otlp), setting("otlp-sample", given.otlpSample)),
    callers: {
      callsPerSecond:
        tokenRate === undefined ? defaultCallerLimits.callsPerSecond : parseNumber(tokenRate, "calls a second"),
      streams: tokenStreams === undefined ? defaultCallerLimits.streams : parseNumber(tokenStreams, "streams"),
    },
    decisions: parseDecisions(decisions, decisionsSample),
    logLevel: parseLogLevel(setting("log-level", given.logLevel)),
    drainDelayMs: drainDelay === undefined ? 0 : parseSeconds(drainDelay) * 1_000,
  };
}

interface TlsSettings {
  readonly cert: Setting | undefined;
  readonly key: Setting | undefined;
  readonly clientCa: Setting | undefined;
  readonly clientRoles: Setting | undefined;
}

/** Each is of use only with the others. */
function parseTls({ cert, key, clientCa, clientRoles }: TlsSettings): Pick<ServeOptions, "tls" | "clientRoles"> {
  const needs = ({ what }: Setting, other: string) => usageFailure(`${what} needs ${other} too`);
  if (cert !== undefined && key === undefined) throw needs(cert, "--tls-key");
  if (key !== undefined && cert === undefined) throw needs(key, "--tls-cert");
  if (clientCa !== undefined && cert === undefined) throw needs(clientCa, "--tls-cert and --tls-key");
  if (clientCa !== undefined && clientRoles === undefined) throw needs(clientCa, "--tls-client-roles");
  if (clientRoles !== undefined && clientCa === undefined) throw needs(clientRoles, "--tls-client-ca");
  return {
    tls: cert && key && { cert: cert.text, key: key.text, clientCa: clientCa?.text },
    clientRoles: clientRoles === undefined ? [] : parseClientRoles(clientRoles.text, clientRoles.what),
  };
}

const maximumWorkers = 64;

function parseWorkers({ text, what }: Setting): number {
  if (text === "auto") return Math.min(availableParallelism(), maximumWorkers);
  const workers = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (workers >= 1 && workers <= maximumWorkers) return workers;
  throw usageFailure(`${what} ${JSON.stringify(text)} is not a number from 1 to ${maximumWorkers}, or auto`);
}

function parseFlagdPorts({ text, what }: Setting, listen: HostPort): FlagdPorts | undefined {
  if (text === "false") return undefined;
  const [, sync, ofrep] = /^(\d{1,5}),(\d{1,5})$/.exec(text) ?? [];
  const ports = text === "true" ? defaultFlagdPorts : { sync: Number(sync), ofrep: Number(ofrep) };
  // Not of what is missing: NaN.
  if (!(ports.sync <= 65_535 && ports.ofrep <= 65_535)) {
    throw usageFailure(`${what} ${JSON.stringify(text)} is not two ports, for sync and OFREP, such as 8015,8016`);
  }
  const all = [listen.port, ports.sync, ports.ofrep];
  const twice = all.find((port, index) => port !== 0 && all.indexOf(port) < index);
  if (twice === undefined) return ports;
  throw usageFailure(
    `${what} would listen twice on port ${twice}; choose ports that differ from each other and --listen`,
  );
}

function parseDecisions(target: Setting | undefined, sample: Setting | undefined): DecisionOptions | undefined {
  const share = sample === undefined ? 1 : parseShare(sample, "refused");
  return target && { target: parseDecisionTarget(target), sample: share };
}

function parseDecisionTarget(setting: Setting): DecisionTarget {
  if (setting.text === "") throw usageFailure(`${setting.what} is empty; name a file, or a URL`);
  if (/^(https?:|[a-z][a-z0-9+.-]*:\/\/)/i.test(setting.text))
    return { kind: "otlp", endpoint: parseEndpoint(setting) };
  return { kind: "file", path: resolve(setting.text) };
}

function parseLogLevel(given: Setting | undefined): LogLevel {
  if (given === undefined) return "info";
  const level = toLogLevel(given.text);
  if (level !== undefined) return level;
  throw usageFailure(`${given.what} ${JSON.stringify(given.text)} is none of ${LOG_LEVELS.join(", ")}`);
}

const maximumDelayS = 3_600;

function parseSeconds({ text, what }: Setting): number {
  const seconds = /^\d{1,4}$/.test(text) ? Number(text) : Number.NaN;
  if (seconds <= maximumDelayS) return seconds;
  throw usageFailure(`${what} ${JSON.stringify(text)} is not a whole number of seconds, from 0 to ${maximumDelayS}`);
}

const maximumRate = 1_000_000;

function parseNumber({ text, what }: Setting, unit: string): number {
  const rate = /^\d{1,7}$/.test(text) ? Number(text) : Number.NaN;
  if (rate <= maximumRate) return rate;
  throw usageFailure(
    `${what} ${JSON.stringify(text)} is not a whole number of ${unit}, from 0 (no limit) to ${maximumRate}`,
  );
}
