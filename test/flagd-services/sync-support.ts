import { createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { FlagSyncService } from "../../gen/flagd/sync/v1/sync_pb.js";

/** A client of flagd's sync service, which sends these headers. */
export function syncClient(address: string, headers: Readonly<Record<string, string>> = {}) {
  const addHeaders: Interceptor = (next) => (request) => {
    for (const [name, value] of Object.entries(headers)) request.header.set(name, value);
    return next(request);
  };
  const transport = createGrpcTransport({ baseUrl: `http://${address}`, interceptors: [addHeaders] });
  return createClient(FlagSyncService, transport);
}

export type SyncedFlags = Readonly<Record<string, { readonly [member: string]: unknown }>>;

/** The flags of a payload. */
export function flagsOf({ flagConfiguration }: { readonly flagConfiguration: string }): SyncedFlags {
  const { flags, ...rest } = JSON.parse(flagConfiguration);
  if (Object.keys(rest).length > 0) throw new Error(`unexpected members: ${Object.keys(rest)}`);
  return flags;
}

/** The payloads of one stream, one after the other. */
export class SyncStream {
  readonly #stop = new AbortController();
  readonly #answers: AsyncIterator<{ readonly flagConfiguration: string }>;
  received = 0;

  constructor(address: string, headers: Readonly<Record<string, string>> = {}, selector = "") {
    const { signal } = this.#stop;
    this.#answers = syncClient(address, headers).syncFlags({ selector }, { signal })[Symbol.asyncIterator]();
  }

  /** The flags of the next payload; rejects with the status that the stream ends with. */
  async next(): Promise<SyncedFlags> {
    const { value, done } = await this.#answers.next();
    if (done) throw new Error("the stream ended with OK");
    this.received += 1;
    return flagsOf(value);
  }

  /** Payloads up to one that is as expected: changes may come together, or one by one. */
  async until(isExpected: (flags: SyncedFlags) => boolean): Promise<SyncedFlags> {
    for (;;) {
      const flags = await this.next();
      if (isExpected(flags)) return flags;
    }
  }

  close(): void {
    this.#stop.abort();
  }
}
