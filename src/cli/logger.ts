import { type Logger, pino } from "pino";
import { printable } from "../base/index.js";
import type { OutputStream } from "./cli-io.js";

/** Each has those before it. */
export const LOG_LEVELS = ["error", "warn", "info", "debug"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The level of that name; undefined where there is none. */
export function toLogLevel(name: string): LogLevel | undefined {
  return LOG_LEVELS.find((level) => level === name);
}

/** The service's log, on standard error: a JSON object a line, or a short line each where a person reads it. */
export function createLogger(stderr: OutputStream, level: LogLevel = "info"): Logger {
  const options = { base: null, level, timestamp: pino.stdTimeFunctions.isoTime };
  return pino(options, { write: (line: string) => void stderr.write(stderr.isTTY ? toShortLine(line) : line) });
}

const levels = new Map([
  [10, "trace"],
  [20, "debug"],
  [30, "info"],
  [40, "warn"],
  [50, "error"],
  [60, "fatal"],
]);

/** Such as `12:00:05 warn  a client was cut off peer=127.0.0.1:50000`. */
export function toShortLine(line: string): string {
  const { level, time, msg = "", err, ...fields }: Record<string, unknown> = JSON.parse(line);
  const rest = Object.entries({ ...fields, ...(err === undefined ? {} : { err: errorText(err) }) })
    .map(([name, value]) => ` ${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join("");
  const name = levels.get(Number(level)) ?? String(level);
  return `${String(time).slice(11, 19)} ${name.padEnd(5)} ${printable(`${msg}${rest}`)}\n`;
}

function errorText(error: unknown): unknown {
  return typeof error === "object" && error !== null && "message" in error ? error.message : error;
}
