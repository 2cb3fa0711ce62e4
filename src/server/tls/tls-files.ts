import { readFile } from "node:fs/promises";
import type { Logger } from "pino";
import type { Clock, StopTimer } from "../../base/index.js";
import { expiryOf, type KeyMaterial, type KeyMaterialSource, keyMaterialProblem } from "./key-material.js";

/** Paths. */
export interface TlsPaths {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string | undefined;
}

export interface TlsFilesOptions {
  readonly paths: TlsPaths;
  readonly log: Logger;
  readonly clock: Clock;
}

/** Why files cannot be used. */
export class TlsFilesProblem {
  constructor(
    readonly part: keyof KeyMaterial,
    /** Begins with the file's path. */
    readonly message: string,
  ) {}
}

/** How often the files are looked at, in milliseconds. They are small, and their contents say more than their times. */
const POLL_MS = 2_000;
/** From when on a certificate that ends is worth a warning, in milliseconds. */
const EXPIRY_WARNING_MS = 7 * 24 * 3_600_000;

/** Key material in files, which are read again when they change. What is broken is logged, and the old stays in use. */
export class TlsFiles implements KeyMaterialSource {
  readonly #options: TlsFilesOptions;
  readonly #listeners = new Set<() => void>();
  #current: KeyMaterial;
  /** What was read last, sound or not: each state of the files is told of once. */
  #seen: string;
  #stopTimer: StopTimer = () => undefined;
  #isClosed = false;

  /** Reads them, or says why that is no use. */
  static async open(options: TlsFilesOptions): Promise<TlsFiles | TlsFilesProblem> {
    const material = await readMaterial(options.paths);
    return material instanceof TlsFilesProblem ? material : new TlsFiles(options, material);
  }

  private constructor(options: TlsFilesOptions, material: KeyMaterial) {
    this.#options = options;
    this.#current = material;
    this.#seen = JSON.stringify(material);
    this.#warnOfExpiry();
    this.#poll();
  }

  get current(): KeyMaterial {
    return this.#current;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Looks whether the files have changed. */
  async refresh(): Promise<void> {
    const { paths, log } = this.#options;
    const read = await readMaterial(paths);
    const seen = JSON.stringify(read);
    if (this.#isClosed || seen === this.#seen) return;
    this.#seen = seen;
    const material = this.#refuseEnded(read);
    if (material instanceof TlsFilesProblem) {
      log.error({ problem: material.message }, "TLS files have changed and cannot be used; the old ones stay in use");
      return;
    }
    if (JSON.stringify(this.#current) === seen) return;
    this.#current = material;
    log.info({ expiresAt: new Date(expiryOf(material)).toISOString() }, "TLS files have changed and are in use");
    this.#warnOfExpiry();
    for (const listener of this.#listeners) listener();
  }

  /** Looks at the files no longer. */
  close(): void {
    this.#isClosed = true;
    this.#stopTimer();
  }

  #poll(): void {
    if (this.#isClosed) return;
    this.#stopTimer = this.#options.clock.after(POLL_MS, () => {
      void this.refresh().then(() => this.#poll());
    });
  }

  /** A certificate that has ended, nobody trusts: it does not take the place of one that has not. */
  #refuseEnded(read: KeyMaterial | TlsFilesProblem): KeyMaterial | TlsFilesProblem {
    if (read instanceof TlsFilesProblem) return read;
    const nowMs = this.#options.clock.now();
    const endedMs = expiryOf(read);
    if (endedMs > nowMs || expiryOf(this.#current) <= nowMs) return read;
    const { cert } = this.#options.paths;
    return new TlsFilesProblem(
      "cert",
      `${cert} holds a certificate that has ended at ${new Date(endedMs).toISOString()}`,
    );
  }

  #warnOfExpiry(): void {
    const { clock, log } = this.#options;
    const expiresAtMs = expiryOf(this.#current);
    if (expiresAtMs - clock.now() > EXPIRY_WARNING_MS) return;
    log.warn({ expiresAt: new Date(expiresAtMs).toISOString() }, "the server's certificate ends soon, or has ended");
  }
}

async function readMaterial(paths: TlsPaths): Promise<KeyMaterial | TlsFilesProblem> {
  const cert = await readPart("cert", paths.cert);
  const key = await readPart("key", paths.key);
  const clientCa = paths.clientCa === undefined ? undefined : await readPart("clientCa", paths.clientCa);
  if (cert instanceof TlsFilesProblem) return cert;
  if (key instanceof TlsFilesProblem) return key;
  if (clientCa instanceof TlsFilesProblem) return clientCa;
  const material: KeyMaterial = { cert, key, clientCa };
  const problem = keyMaterialProblem(material);
  if (problem === undefined) return material;
  return new TlsFilesProblem(problem.part, `${paths[problem.part]} ${problem.message}`);
}

async function readPart(part: keyof KeyMaterial, path: string): Promise<string | TlsFilesProblem> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const { code = "unknown error" } = error as NodeJS.ErrnoException;
    const why = code === "ENOENT" ? "there is no such file" : code === "EACCES" ? "it may not be read" : code;
    return new TlsFilesProblem(part, `${path} cannot be read: ${why}`);
  }
}
