import type { Clock } from "../../base/index.js";
import type { ClientListing, ClientQuery, ConnectedClient } from "./client-directory.js";

/** A stream that can tell of its client. There may be tens of thousands, so it is asked when somebody wants to know. */
export interface ClientStream {
  readonly client: ConnectedClient;
}

/** The streams of changes that this process has open. */
export class ClientRegistry {
  readonly #streams = new Set<ClientStream>();

  /** Tells since when a stream is open. */
  constructor(readonly clock: Clock) {}

  add(stream: ClientStream): void {
    this.#streams.add(stream);
  }

  remove(stream: ClientStream): void {
    this.#streams.delete(stream);
  }

  list({ environments, limit }: ClientQuery): ClientListing {
    const clients: ConnectedClient[] = [];
    for (const { client } of this.#streams) {
      if (environments.length === 0 || environments.includes(client.environment)) clients.push(client);
    }
    return { clients: clients.sort(compareClients).slice(0, limit), totalCount: clients.length };
  }
}

/** What several registries tell, as if they were one. */
export function joinListings(listings: readonly ClientListing[], { limit }: ClientQuery): ClientListing {
  const clients = listings.flatMap((listing) => listing.clients).sort(compareClients);
  let totalCount = 0;
  for (const listing of listings) totalCount += listing.totalCount;
  return { clients: clients.slice(0, limit), totalCount };
}

/** By name, then who came first. */
function compareClients(a: ConnectedClient, b: ConnectedClient): number {
  if (a.clientName !== b.clientName) return a.clientName < b.clientName ? -1 : 1;
  return a.connectedSinceMs - b.connectedSinceMs;
}
