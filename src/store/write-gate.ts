/**
 * Keeps writes out while another process opens the same directory. LMDB reads the newest transaction from the file when it
 * opens, and a moment later writes it where all processes look for it, without a lock (its ITS#9496): a commit in between
 * would be forgotten by everybody, the writer included. Writers and holders take turns, so neither keeps the other away.
 */
export class WriteGate {
  #writes = 0;
  #holds = 0;
  readonly #writers: (() => void)[] = [];
  readonly #holders: (() => void)[] = [];

  /** Runs `write` while nobody holds the gate; at once where it can, and in the order of the calls. */
  write<T>(write: () => Promise<T>): Promise<T> {
    if (this.#holds === 0 && this.#holders.length === 0) return this.#run(write);
    return new Promise((resolve) => this.#writers.push(() => resolve(this.#run(write))));
  }

  /** Resolves once nothing is being written; call what it gives to let writes go on. */
  async hold(): Promise<() => void> {
    if (this.#writes > 0 || this.#writers.length > 0) await new Promise<void>((resolve) => this.#holders.push(resolve));
    else this.#holds++;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      if (--this.#holds === 0) this.#letWritersIn();
    };
  }

  async #run<T>(write: () => Promise<T>): Promise<T> {
    this.#writes++;
    try {
      return await write();
    } finally {
      if (--this.#writes === 0) this.#letHoldersIn();
    }
  }

  /** Those who wait now; who comes later comes after the holders that wait by then. */
  #letWritersIn(): void {
    for (const write of this.#writers.splice(0)) write();
    if (this.#writes === 0) this.#letHoldersIn();
  }

  #letHoldersIn(): void {
    const holders = this.#holders.splice(0);
    this.#holds += holders.length;
    for (const hold of holders) hold();
  }
}
