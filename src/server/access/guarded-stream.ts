import type { AnswerStream } from "../handlers.js";
import { isRefusal, type OrRefusal } from "../refusal.js";
import { noLongerAdmitted } from "./guarded-cursor.js";

/** What is asked of who opened a stream. */
export interface StreamRights {
  /** Whether they would be let in now. */
  readonly isAdmitted: () => boolean;
  /** See Gate.openStream. */
  readonly open: () => OrRefusal<() => void>;
}

/** Messages as long as their receiver may have them. */
export async function* guardAnswers<T>(answers: AnswerStream<T>, { isAdmitted, open }: StreamRights): AnswerStream<T> {
  // Not before the first message is asked for: of a stream that nobody ever reads, nobody would tell that it ended.
  const leave = open();
  if (isRefusal(leave)) {
    yield leave;
    return;
  }
  try {
    for await (const answer of answers) {
      if (!isAdmitted()) {
        yield noLongerAdmitted;
        return;
      }
      yield answer;
    }
  } finally {
    leave();
  }
}

/** The answer to messages that come as long as their sender may send them, and may do so still when the last has come. */
export async function guardRequests<I, A>(
  requests: AsyncIterable<I>,
  { isAdmitted, open }: StreamRights,
  answer: (requests: AsyncIterable<I>) => Promise<A>,
): Promise<OrRefusal<A>> {
  const leave = open();
  if (isRefusal(leave)) return leave;
  try {
    return await answer(admittedOf(requests, isAdmitted));
  } catch (thrown) {
    if (thrown instanceof RightsEnded) return noLongerAdmitted;
    throw thrown;
  } finally {
    leave();
  }
}

class RightsEnded extends Error {}

async function* admittedOf<I>(requests: AsyncIterable<I>, isAdmitted: () => boolean): AsyncGenerator<I> {
  for await (const request of requests) {
    if (!isAdmitted()) throw new RightsEnded();
    yield request;
  }
  if (!isAdmitted()) throw new RightsEnded();
}
