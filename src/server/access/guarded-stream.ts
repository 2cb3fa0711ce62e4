import type { AnswerStream } from "../handlers.js";
import type { OrRefusal } from "../refusal.js";
import { noLongerAdmitted } from "./guarded-cursor.js";

/** Whether who opened a stream would be let in now. */
export type IsAdmitted = () => boolean;

/** Messages as long as their receiver may have them. */
export async function* guardAnswers<T>(answers: AnswerStream<T>, isAdmitted: IsAdmitted): AnswerStream<T> {
  for await (const answer of answers) {
    if (!isAdmitted()) {
      yield noLongerAdmitted;
      return;
    }
    yield answer;
  }
}

/** The answer to messages that come as long as their sender may send them, and may do so still when the last has come. */
export async function guardRequests<I, A>(
  requests: AsyncIterable<I>,
  isAdmitted: IsAdmitted,
  answer: (requests: AsyncIterable<I>) => Promise<A>,
): Promise<OrRefusal<A>> {
  try {
    return await answer(admittedOf(requests, isAdmitted));
  } catch (thrown) {
    if (thrown instanceof RightsEnded) return noLongerAdmitted;
    throw thrown;
  }
}

class RightsEnded extends Error {}

async function* admittedOf<I>(requests: AsyncIterable<I>, isAdmitted: IsAdmitted): AsyncGenerator<I> {
  for await (const request of requests) {
    if (!isAdmitted()) throw new RightsEnded();
    yield request;
  }
  if (!isAdmitted()) throw new RightsEnded();
}
