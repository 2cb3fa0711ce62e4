/** Does one thing after the other, in the order of the calls. */
export class Sequence {
  /** Settles when all that was asked for so far is done. Never rejects. */
  #done: Promise<unknown> = Promise.resolve();

  /** Settles as the action does. */
  next<T>(action: () => Promise<T>): Promise<T> {
    const ended = this.#done.then(action);
    this.#done = ended.catch(() => {});
    return ended;
  }
}
