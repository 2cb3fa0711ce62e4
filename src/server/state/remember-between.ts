interface Known<V extends object, T> {
  /** Weak, or a stream that stands still would keep all values since the one that it has. */
  readonly after: WeakRef<V>;
  readonly result: T;
}

/**
 * The same comparison, made once for two values that many compare one after the other: streams follow one another through the
 * same snapshots. For each value it keeps what it was last compared with.
 */
export function rememberBetween<V extends object, T>(compare: (before: V, after: V) => T): (before: V, after: V) => T {
  const known = new WeakMap<V, Known<V, T>>();
  return (before, after) => {
    const last = known.get(before);
    if (last?.after.deref() === after) return last.result;
    const result = compare(before, after);
    known.set(before, { after: new WeakRef(after), result });
    return result;
  };
}
