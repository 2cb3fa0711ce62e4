import type { Logger } from "pino";
import type {
  AnonymousRole,
  CallerLimits,
  ClientRole,
  DecisionOptions,
  OtlpSettings,
  ServiceSettings,
  Telemetry,
  TlsFiles,
  TlsPaths,
  WebOptions,
} from "../server/index.js";
import type { Store } from "../store/index.js";
import type { HostPort } from "./address.js";
import type { LogLevel } from "./logger.js";
import type { Seed } from "./seed-server.js";

/** The options of `serve` as they were given. */
export interface GivenServeOptions {
  readonly listen?: string;
  readonly data?: string;
  readonly import?: string;
  readonly workers?: string;
  /** True: without a value. */
  readonly flagdPorts?: string | true;
  readonly corsOrigins?: string;
  readonly ofrepRateLimit?: string;
  readonly tokenRateLimit?: string;
  readonly tokenStreams?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsClientCa?: string;
  readonly tlsClientRoles?: string;
  readonly otlp?: string;
  readonly otlpSample?: string;
  readonly allowAnonymous?: boolean;
  readonly anonymousRole?: string;
  readonly drainDelay?: string;
  readonly logLevel?: string;
  readonly decisions?: string;
  readonly decisionsSample?: string;
}

export interface ServeOptions {
  readonly listen: HostPort;
  /** Whether callers from other machines may do everything, or what `anonymousRole` says, as long as there are no tokens. */
  readonly allowAnonymous: boolean;
  /** What callers may do who present neither a token nor a certificate where one is needed. Undefined: nothing. */
  readonly anonymousRole: AnonymousRole | undefined;
  /** The data directory. */
  readonly data: string;
  /** A file to import while there is nothing else yet. */
  readonly seed: string | undefined;
  /** How many processes answer. One is this one; more are processes of their own. */
  readonly workers: number;
  /** Ports beside that of `listen`, on its host. Every protocol is answered on every port. */
  readonly flagdPorts: FlagdPorts | undefined;
  readonly web: WebOptions;
  /** Undefined: clear text. */
  readonly tls: TlsPaths | undefined;
  /** What holders of client certificates may do. */
  readonly clientRoles: readonly ClientRole[];
  readonly callers: CallerLimits;
  /** Undefined: answers are not written out. */
  readonly decisions: DecisionOptions | undefined;
  readonly logLevel: LogLevel;
  /** How long it reports that it is not ready, and answers all the same, before it drains. In milliseconds. */
  readonly drainDelayMs: number;
  /** Where telemetry goes. Undefined: nowhere, unless the program brings an SDK of its own. */
  readonly otlp: OtlpSettings | undefined;
}

/** Where flagd's clients expect what they look for. Port 0: any that is free. */
export interface FlagdPorts {
  readonly sync: number;
  readonly ofrep: number;
}

/** Where flagd's clients look for its sync service and for OFREP unless told otherwise. */
export const defaultFlagdPorts: FlagdPorts = { sync: 8015, ofrep: 8016 };

/** With what this service presents to itself. */
export interface ServiceParts extends ServiceSettings {
  readonly ownToken: string;
}

/** What a service is put together from. */
export interface ServeParts {
  /** This process's own. */
  readonly store: Store;
  readonly log: Logger;
  readonly service: ServiceParts;
  /** The files of `tls`, found sound. */
  readonly tls: TlsFiles | undefined;
  /** Exports what this process records, where it answers calls itself. */
  readonly telemetry: Telemetry | undefined;
  /** Read and found sound. */
  readonly seed: Seed | undefined;
}
