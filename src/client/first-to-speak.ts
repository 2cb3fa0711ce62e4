import type { Clock } from "../base/index.js";
import { TransportError } from "./transport.js";

/** A source of messages that may be started. It ends when its signal aborts. */
export type Way<T> = (signal: AbortSignal) => AsyncIterable<T>;

/** How long to wait for one way before the next is tried beside it. */
export interface Impatience {
  readonly clock: Clock;
  readonly delayMs: number;
  readonly signal: AbortSignal;
  /** Whether an error is an answer, so that no other way would fare better. */
  readonly isFinal: (error: unknown) => boolean;
  /** What to throw where all have failed, of what they threw, in their order. */
  readonly blame: (errors: readonly unknown[]) => unknown;
}

interface Contender<T> {
  readonly index: number;
  readonly abort: AbortController;
  readonly messages: AsyncIterator<T>;
}

interface Winner<T> extends Contender<T> {
  readonly first: IteratorResult<T>;
}

/**
 * Iterates the messages of the first of some ways that brings one, with the way's index. They are started in order, each
 * when the one before has failed or has said nothing for a while; when one has spoken, the others are given up.
 */
export async function* firstToSpeak<T>(
  ways: readonly Way<T>[],
  impatience: Impatience,
): AsyncGenerator<readonly [message: T, way: number], void, undefined> {
  const { signal } = impatience;
  const contenders: Contender<T>[] = [];
  const abortAll = (): void => contenders.forEach(giveUp);
  signal.addEventListener("abort", abortAll);
  try {
    const winner = await race(ways, contenders, impatience);
    for (const contender of contenders) if (contender.index !== winner.index) giveUp(contender);
    for (let next = winner.first; next.done !== true; next = await winner.messages.next()) {
      yield [next.value, winner.index];
    }
  } finally {
    signal.removeEventListener("abort", abortAll);
    abortAll();
  }
}

/** What it still brings or throws is nobody's any more. */
function giveUp({ abort, messages }: Contender<unknown>): void {
  abort.abort();
  messages.return?.().catch(() => {});
}

function race<T>(
  ways: readonly Way<T>[],
  contenders: Contender<T>[],
  { clock, delayMs, signal, isFinal, blame }: Impatience,
): Promise<Winner<T>> {
  return new Promise((resolve, reject) => {
    const errors = new Map<number, unknown>();
    let stopTimer = (): void => {};
    let isOver = false;
    const settle = (action: () => void): void => {
      isOver = true;
      stopTimer();
      signal.removeEventListener("abort", end);
      action();
    };
    const end = (): void => settle(() => reject(signal.reason));
    const start = (): void => {
      stopTimer();
      const index = contenders.length;
      const way = ways[index];
      if (way === undefined) return;
      const abort = new AbortController();
      const messages = way(abort.signal)[Symbol.asyncIterator]();
      contenders.push({ index, abort, messages });
      stopTimer = clock.after(delayMs, start);
      messages.next().then(
        (first) => {
          // The end alone is no answer, and another way may bring one.
          if (first.done === true) fail(index, new TransportError("UNAVAILABLE", "it ended without a message"));
          else settle(() => resolve({ index, abort, messages, first }));
        },
        (error: unknown) => fail(index, error),
      );
    };
    const fail = (index: number, error: unknown): void => {
      if (isOver) return;
      errors.set(index, error);
      if (isFinal(error)) settle(() => reject(error));
      else if (errors.size === ways.length) settle(() => reject(blame(ways.map((_way, at) => errors.get(at)))));
      else if (index === contenders.length - 1) start();
    };
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
    else start();
  });
}
