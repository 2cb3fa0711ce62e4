import type {
  EvaluationRecord,
  MirrorRecord,
  PositionRecord,
  StreamRecord,
  WriteRecord,
} from "../history-checker/index.js";

/** Milliseconds of the machine's monotonic clock, which all its processes share. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** What the clients of a run saw, as it grows. */
export class Recording {
  readonly writes: WriteRecord[] = [];
  readonly streams: StreamRecord[] = [];
  readonly mirrors: MirrorRecord[] = [];
  readonly evaluations: EvaluationRecord[] = [];
  acknowledged = 0;
  /** Attempts of which it is not known what became of them. */
  uncertain = 0;
  #shown: PositionRecord | undefined;

  /** The newest position that anybody was shown. */
  get shown(): PositionRecord | undefined {
    return this.#shown;
  }

  show(position: PositionRecord): void {
    if (this.#shown === undefined || position.revision > this.#shown.revision) this.#shown = position;
  }

  get messages(): number {
    return this.streams.reduce((sum, { messages }) => sum + messages.length, 0);
  }

  get sightings(): number {
    return this.mirrors.reduce((sum, { sightings }) => sum + sightings.length, 0);
  }
}
