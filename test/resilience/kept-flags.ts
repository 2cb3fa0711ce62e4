/** A flag file in which the boolean flag `a` is on. */
export const bootstrap = {
  flags: [{ key: "a", type: "FLAG_TYPE_BOOLEAN", kind: "FLAG_KIND_OPERATIONAL", variants: { on: true, off: false } }],
  targetings: [{ flagKey: "a", enabled: true, default: { variant: "on" } }],
};
