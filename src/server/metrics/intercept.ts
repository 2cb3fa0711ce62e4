/**
 * The same object with something else in the place of one method. For what is called seldom: a proxy follows an interface as it
 * grows, but takes a moment at every call.
 */
export function intercept<T extends object, K extends keyof T>(target: T, name: K, replacement: T[K]): T {
  return new Proxy(target, {
    get(_, key) {
      if (key === name) return replacement;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
