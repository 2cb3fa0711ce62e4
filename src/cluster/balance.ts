/** How much a worker has to do, as far as the supervisor knows. */
export interface Load {
  /** As the worker has reported. */
  readonly connections: number;
  readonly watchers: number;
  /** Connections that were handed to it and are not in its report yet. */
  readonly onTheWay: number;
}

/**
 * What is compared. A stream comes with its connection in most clients, so they are not added up: a connection that is on
 * the way counts as much as later its stream, and connections that are opened one after the other are spread evenly however
 * late the reports are.
 */
export function weight({ connections, watchers, onTheWay }: Load): number {
  return Math.max(connections, watchers) + onTheWay;
}

/** Begin to even out where a worker has more than this share, and so many streams, above the mean. */
const UNEVEN_SHARE = 0.2;
const UNEVEN_STREAMS = 10;
/** After so many requests that changed nothing, its clients are taken to stay where they are. */
const MAX_FUTILE_REQUESTS = 10;
const FUTILE_PAUSE_MS = 60_000;
const MAX_FUTILE_PAUSE_MS = 3_600_000;

/** A worker's streams that go away, to come back elsewhere. */
interface Evening {
  /** The fewest that it has had meanwhile. */
  fewest: number;
  futileRequests: number;
}

interface Place {
  evening: Evening | undefined;
  pausedUntilMs: number;
  pauseMs: number;
}

/** Decides how many streams each worker should end early. Ask it every second or so. */
export class Evener {
  readonly #places = new Map<number, Place>();

  /** `watchers` of each worker by its number, all of them serving. Gives what to recycle, of those that should. */
  next(watchers: ReadonlyMap<number, number>, nowMs: number): ReadonlyMap<number, number> {
    const counts = [...watchers.values()];
    const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
    const recycled = new Map<number, number>();
    for (const [number, count] of watchers) {
      const due = this.#due(this.#place(number), count, mean, nowMs);
      if (due > 0) recycled.set(number, due);
    }
    return recycled;
  }

  /** A worker was replaced: its streams are others. */
  forget(number: number): void {
    this.#places.delete(number);
  }

  #due(place: Place, count: number, mean: number, nowMs: number): number {
    const isUneven = count > mean * (1 + UNEVEN_SHARE) && count > mean + UNEVEN_STREAMS;
    if (nowMs < place.pausedUntilMs) return 0;
    if (isUneven) place.evening ??= { fewest: count, futileRequests: 0 };
    const { evening } = place;
    const excess = Math.floor(count - mean);
    if (evening === undefined || excess < 1) {
      place.evening = undefined;
      return 0;
    }
    if (count < evening.fewest) {
      evening.fewest = count;
      evening.futileRequests = 0;
      place.pauseMs = FUTILE_PAUSE_MS;
    } else if (++evening.futileRequests > MAX_FUTILE_REQUESTS) {
      // Clients that keep their connection come back on it, so to the same worker.
      place.evening = undefined;
      place.pausedUntilMs = nowMs + place.pauseMs;
      place.pauseMs = Math.min(2 * place.pauseMs, MAX_FUTILE_PAUSE_MS);
      return 0;
    }
    return Math.min(excess, Math.max(5, Math.ceil(excess / 4)));
  }

  #place(number: number): Place {
    const known = this.#places.get(number);
    if (known !== undefined) return known;
    const place: Place = { evening: undefined, pausedUntilMs: 0, pauseMs: FUTILE_PAUSE_MS };
    this.#places.set(number, place);
    return place;
  }
}
