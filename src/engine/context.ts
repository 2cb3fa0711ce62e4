/**
 * What is known of the subject of an evaluation, flat as in OpenFeature: attributes by name, with `targetingKey` among them.
 * Values are what JSON can hold; a `Date` counts as its ISO string. Anything else is as good as missing.
 */
export interface Context {
  readonly targetingKey?: string | undefined;
  readonly [attribute: string]: unknown;
}
