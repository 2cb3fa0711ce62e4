/** Something that makes a flag or segment malformed. */
export interface Problem {
  /** The path within the flag, targeting or segment, such as `targeting.rules[0].serve.variant`. */
  readonly field: string;
  readonly description: string;
}

/** How many problems of one flag or segment are told one by one: each names values, and there may be a million of them. */
const MAX_PROBLEMS = 100;

/** Collects problems while something is compiled; the last one counts those that are too many to tell. */
export class Problems {
  readonly #list: Problem[] = [];
  readonly #fields = new Set<string>();
  #omitted = 0;

  add(field: string, description: string): void {
    const [topmost = ""] = field.split("[", 1);
    // The first of each field always counts: whether a killed flag may answer depends on which fields are sound.
    if (this.#list.length >= MAX_PROBLEMS && this.#fields.has(topmost)) {
      this.#omit(topmost);
      return;
    }
    this.#fields.add(topmost);
    this.#list.splice(this.#list.length - (this.#omitted > 0 ? 1 : 0), 0, { field, description });
  }

  get list(): readonly Problem[] {
    return this.#list;
  }

  #omit(field: string): void {
    if (this.#omitted > 0) this.#list.pop();
    this.#omitted++;
    this.#list.push({ field, description: `and ${this.#omitted} more problems` });
  }
}
