/**
 * What is known of the subject of an evaluation, flat as in OpenFeature: attributes by name, with `targetingKey` among them.
 * A value is what `JSON.stringify` makes of it (a `Date` its ISO string); what JSON cannot hold is missing.
 */
export interface Context {
  readonly targetingKey?: string | undefined;
  readonly [attribute: string]: unknown;
}
