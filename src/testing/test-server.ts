import type { Client } from "@connectrpc/connect";
import type { AdminService } from "../../gen/flagwire/v1/admin_service_pb.js";
import type { SetOptions } from "./flag-state.js";
import type { TestValues } from "./read-definitions.js";
import type { FlagFileSource } from "./read-flag-file.js";
import type { KillOptions } from "./test-flags.js";
import type { TestValue, VariantName, VariantValues } from "./test-value.js";

/** What a test server begins with. */
export interface TestServerOptions {
  /** Flags by key, in all environments. */
  readonly flags?: TestValues;
  /** A flag file, native or flagd's, parsed, or the path of one in JSON. What names no environment is of `production`. */
  readonly file?: FlagFileSource;
  /** Environments beside `production`. Those that the file names need not be named here. */
  readonly environments?: readonly string[];
  /** Default 0: any that is free. */
  readonly port?: number;
  /** Origins, such as `http://localhost:5173`, whose pages may ask from a browser; `*` for all. Default none. */
  readonly corsOrigins?: readonly string[];
}

/** In which environment something is done. */
export interface InEnvironment {
  /** Default `production`. */
  readonly environment?: string;
}

/** What a token's holder may do, from the least to the most. */
export type TokenRole = "evaluator" | "reader" | "operator" | "editor" | "admin";

/** Where a token counts. */
export interface TokenOptions {
  /** Default none: in all. */
  readonly environments?: readonly string[];
}

/** A server of its own on a loopback port, whose flags are kept in memory. Made by `startTestServer`. */
export interface TestServer extends AsyncDisposable {
  /** Host and port, for every kind of client. The port stays the same when it is started again. */
  readonly address: string;
  readonly isRunning: boolean;
  /** The admin API itself, for everything else. */
  readonly admin: Client<typeof AdminService>;
  /**
   * Defines a flag or, where there is one, makes it serve one value or variant to everybody, in one environment or by default
   * in all; as `TestFlags.set` does. Resolves with the revision, to be waited for. Writes are done in the order of the calls.
   */
  set(
    key: string,
    value: TestValue | VariantName | VariantValues,
    options?: SetOptions & InEnvironment,
  ): Promise<number>;
  /** Deletes a flag. Resolves with the revision; rejects with NOT_FOUND for a flag that there is not. */
  remove(key: string): Promise<number>;
  /** Takes a flag file over. Resolves with the revision. */
  apply(file: FlagFileSource, options?: InEnvironment): Promise<number>;
  /** Kills a flag. Resolves with the revision. */
  kill(key: string, options?: InEnvironment & KillOptions): Promise<number>;
  /** Undoes `kill`. Resolves with the revision. */
  revive(key: string, options?: InEnvironment): Promise<number>;
  /**
   * Creates a token, and resolves with what its holder presents. From the first one on, every client needs one; the methods here
   * go on working.
   */
  createToken(role: TokenRole, options?: TokenOptions): Promise<string>;
  /**
   * Goes away: says goodbye to its streams, and cuts off what is left after `deadlineMs`, by default 200. The flags are kept for
   * `restart`.
   */
  stop(deadlineMs?: number): Promise<void>;
  /** Comes back at the same port with the same flags; stops first where it runs. Calls at the same time take turns. */
  restart(): Promise<void>;
  /** Stops for good, and forgets the flags. */
  close(): Promise<void>;
}
