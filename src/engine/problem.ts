/** Something that makes a flag or segment malformed. */
export interface Problem {
  /** The path within the flag, targeting or segment, such as `targeting.rules[0].serve.variant`. */
  readonly field: string;
  readonly description: string;
}

/** Collects problems while something is compiled. */
export class Problems {
  readonly #list: Problem[] = [];

  add(field: string, description: string): void {
    this.#list.push({ field, description });
  }

  get list(): readonly Problem[] {
    return this.#list;
  }
}
