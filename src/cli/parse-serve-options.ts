import { availableParallelism } from "node:os";
import { defaultAddress, type HostPort, parseHostPort } from "./address.js";
import { dataDirectory } from "./data-directory.js";
import { usageFailure } from "./failure.js";
import { parseCorsOrigins } from "./parse-cors-origins.js";
import { defaultFlagdPorts, type FlagdPorts, type GivenServeOptions, type ServeOptions } from "./serve-options.js";

type Variables = Readonly<Record<string, string | undefined>>;

/** A text, and the name of the option or variable that it came by, for complaints. */
interface Setting {
  readonly text: string;
  readonly what: string;
}

/** Reads each from its option, else its environment variable, else takes its default. An empty variable counts as unset. */
export function parseServeOptions(given: GivenServeOptions, env: Variables): ServeOptions {
  const setting = (name: string, option: string | undefined): Setting | undefined => {
    if (option !== undefined) return { text: option, what: `--${name}` };
    const variable = `FLAGWIRE_${name.toUpperCase().replaceAll("-", "_")}`;
    const text = env[variable];
    return text === undefined || text === "" ? undefined : { text, what: variable };
  };
  const listening = setting("listen", given.listen) ?? { text: defaultAddress, what: "--listen" };
  const listen = parseHostPort(listening.text, listening.what);
  const workers = setting("workers", given.workers);
  const flagdPorts = setting("flagd-ports", given.flagdPorts === true ? "true" : given.flagdPorts);
  const corsOrigins = setting("cors-origins", given.corsOrigins);
  const rateLimit = setting("ofrep-rate-limit", given.ofrepRateLimit);
  return {
    listen,
    allowAnonymous: given.allowAnonymous ?? false,
    data: dataDirectory(given.data, env),
    seed: setting("import", given.import)?.text,
    workers: workers === undefined ? 1 : parseWorkers(workers),
    flagdPorts: flagdPorts === undefined ? undefined : parseFlagdPorts(flagdPorts, listen),
    web: {
      corsOrigins: corsOrigins === undefined ? [] : parseCorsOrigins(corsOrigins.text, corsOrigins.what),
      ofrepRequestsPerSecond: rateLimit === undefined ? 0 : parseRateLimit(rateLimit),
    },
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

const maximumRate = 1_000_000;

function parseRateLimit({ text, what }: Setting): number {
  const rate = /^\d{1,7}$/.test(text) ? Number(text) : Number.NaN;
  if (rate <= maximumRate) return rate;
  throw usageFailure(
    `${what} ${JSON.stringify(text)} is not a whole number of requests a second, from 0 (no limit) to ${maximumRate}`,
  );
}
