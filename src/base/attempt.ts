/** What the action gives; undefined where it throws. For code of others that must not fail what it only accompanies. */
export function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
