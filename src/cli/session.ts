import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import type { CliIo } from "./cli-io.js";
import { usageFailure } from "./failure.js";
import type { GlobalOptions } from "./global-options.js";
import { createOutput, type Output } from "./output.js";
import { openRemote, type Remote, type RemoteOptions } from "./remote.js";

/** What one run of a command works with. */
export interface Session {
  readonly io: CliIo;
  readonly options: GlobalOptions;
  readonly output: Output;
  /** Aborts when the command should end: interrupted, or nobody reads its output any more. */
  readonly signal: AbortSignal;
  /** Whether the last call to the server may have changed something, answered or not. */
  mayHaveWritten(): boolean;
  /** The server, connected to at the first call. */
  remote(): Remote;
  close(): void;
}

export function createSession(io: CliIo, options: GlobalOptions, signal: AbortSignal): Session {
  let remote: Remote | undefined;
  return {
    io,
    options,
    output: createOutput(io, options.json),
    signal,
    mayHaveWritten: () => remote?.mayHaveWritten ?? false,
    remote() {
      remote ??= openRemote({
        address: options.address,
        tls: readTlsFiles(options),
        token: options.token,
        author: io.userName,
        signal,
        clock: io.clock,
      });
      return remote;
    },
    close: () => remote?.close(),
  };
}

/** What to speak TLS with: nothing of it is read before there is somebody to speak to. */
function readTlsFiles({ ca, clientCert, clientKey }: GlobalOptions): NonNullable<RemoteOptions["tls"]> {
  const files = {
    ...(ca === undefined ? {} : { ca: readTlsFile(ca, "--ca") }),
    ...(clientCert === undefined ? {} : { cert: readTlsFile(clientCert, "--client-cert") }),
    ...(clientKey === undefined ? {} : { key: readTlsFile(clientKey, "--client-key") }),
  };
  const authority = files.ca;
  // What holds no certificate would be taken for a list of none.
  if (authority !== undefined) checkTls(`--ca ${ca}`, () => new X509Certificate(authority));
  if (files.cert !== undefined) {
    checkTls(`--client-cert ${clientCert} with --client-key ${clientKey}`, () => createSecureContext(files));
  }
  return files;
}

function checkTls(what: string, check: () => unknown): void {
  try {
    check();
  } catch (error) {
    throw usageFailure(`${what} cannot be used: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function readTlsFile(path: string, what: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw usageFailure(`${what} ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}
