/** All chance of a run: everything that it gives follows from the seed. */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
    for (let round = 0; round < 4; round++) this.number();
  }

  /**
   * From 0 to below 1.
   *
   * Source: "mulberry32", Tommy Ettinger, public domain.
   */
  number(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A generator of its own, which what others draw does not move. */
  fork(): Chance {
    return new Chance(Math.floor(this.number() * 2 ** 32));
  }

  is(probability: number): boolean {
    return this.number() < probability;
  }

  /** An integer, both bounds included. */
  integer(from: number, to: number): number {
    return from + Math.floor(this.number() * (to - from + 1));
  }

  pick<T>(list: readonly T[]): T {
    const picked = list[Math.floor(this.number() * list.length)];
    if (picked === undefined) throw new Error("there is nothing to pick from");
    return picked;
  }

  /** One of the names, each as likely as its weight is. */
  weighted<K extends string>(weights: { readonly [name in K]: number }): K {
    const names = Object.keys(weights) as K[];
    let left = this.number() * names.reduce((sum, name) => sum + weights[name], 0);
    for (const name of names) {
      left -= weights[name];
      if (left < 0) return name;
    }
    return this.pick(names);
  }
}
