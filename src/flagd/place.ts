/** Deeper expressions are refused: translating is recursive, and no rule that people write comes near. */
export const MAX_DEPTH = 200;

/** Where something stands in a flagd file, such as `flags.header-color.targeting.if[1].cat[0]`. */
export class Place {
  constructor(
    readonly path: string,
    /** How many steps it took to get here, through references too. */
    readonly depth = 0,
    /** Whether this is inside `$evaluators`, where flagd resolves no further references. */
    readonly isShared = false,
  ) {}

  /** The first step of the way here, such as `targeting`. */
  get top(): Place {
    return new Place(/^[^.[]*/.exec(this.path)?.[0] ?? "");
  }

  member(name: string): Place {
    return new Place(`${this.path}.${name}`, this.depth + 1, this.isShared);
  }

  element(index: number): Place {
    return new Place(`${this.path}[${index}]`, this.depth + 1, this.isShared);
  }

  /** The place of a shared evaluator that is used here. */
  evaluator(name: string): Place {
    return new Place(`$evaluators.${name}`, this.depth + 1, true);
  }
}
