import type { ChildProcess } from "node:child_process";
import type { Logger } from "pino";
import type { Clock, Random } from "../base/index.js";
import type { KeyMaterialSource, OtlpSettings, ServerAddress, ServiceSettings, SocketSource } from "../server/index.js";
import type { Store } from "../store/index.js";
import type { Overview } from "./messages.js";

export interface SupervisorOptions {
  /** The store in `directory`, owned by this process. Close it after the supervisor has stopped. */
  readonly store: Store;
  /** The data directory, absolute. */
  readonly directory: string;
  /** What the workers are told. */
  readonly service: ServiceSettings;
  readonly listen: { readonly host: string; readonly port: number };
  /** Where connections come from, with nothing read of them. Default: TCP, at `listen`. */
  readonly source?: SocketSource;
  /** Where the workers' telemetry goes. Default nowhere. */
  readonly otlp?: OtlpSettings | undefined;
  /** What the workers speak TLS with. Default: clear text. */
  readonly tls?: KeyMaterialSource | undefined;
  /** How many workers. */
  readonly workers: number;
  /** Starts a process that runs `runWorker`, with an IPC channel that serializes in the advanced way. */
  readonly fork: () => ChildProcess;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: Random;
}

/** Why a service with workers ends by itself. */
export interface SupervisorFailure {
  readonly message: string;
  readonly cause: unknown;
}

/**
 * N worker processes behind one port. The supervisor owns the directory and is the only one that writes, and it owns the
 * port, or several, and gives each connection to the worker with the least to do; it answers no call itself. A worker that ends is
 * replaced.
 */
export interface Supervisor extends AsyncDisposable {
  readonly address: ServerAddress;
  /** Resolves when every worker takes calls. They do not report that they are ready until `announce`. */
  readonly opened: Promise<void>;
  /** Makes the workers report that they are ready, those to come too. Resolves when all have done so. */
  announce(): Promise<void>;
  /** Asks a worker, and the next one to open if that one ends meanwhile. Rejects if the supervisor is stopped first. */
  overview(): Promise<Overview>;
  /** Resolves if the store fails, or if workers end again and again before they are ready. Stop and exit. */
  readonly failed: Promise<SupervisorFailure>;
  /** Makes the workers report that they are not ready, and go on answering; those to come, too. */
  retire(): void;
  /** Drains all workers and ends them: in 9 s, whatever they do. */
  stop(): Promise<void>;
}
