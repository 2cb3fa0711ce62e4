/** Tells who is connected to the whole service, which may be several processes. */
export type ListConnectedClients = (query: ClientQuery) => Promise<ClientListing>;

/** Which clients to tell of. */
export interface ClientQuery {
  /** Empty: all. */
  readonly environments: readonly string[];
  /** At most so many. */
  readonly limit: number;
}

export interface ClientListing {
  /** Sorted by name. */
  readonly clients: readonly ConnectedClient[];
  /** How many there are. */
  readonly totalCount: number;
}

/** See ConnectedClient in the contract. */
export interface ConnectedClient {
  readonly clientName: string;
  readonly clientVersion: string;
  readonly environment: string;
  readonly peer: string;
  readonly revision: bigint;
  readonly connectedSinceMs: number;
  readonly tokenName: string;
}
