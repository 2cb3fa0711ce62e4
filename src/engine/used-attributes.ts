import type { CompiledCondition, CompiledSegment } from "./compiled-condition.js";
import type { CompiledFlag, CompiledServe, FlagEntry } from "./compiled-flag.js";

/**
 * The attributes that a flag's answers depend on, here or in its prerequisites and segments; `targetingKey` where there are
 * targets or a list of keys. None where it is off, killed or malformed.
 */
export function usedAttributes(flag: CompiledFlag): ReadonlySet<string> {
  const use = new AttributeUse();
  // Every compiled flag is one: nobody else makes them.
  use.flag(flag as FlagEntry);
  return use.names;
}

/** Goes through everything that a flag was compiled to, each flag and segment once. */
class AttributeUse {
  readonly names = new Set<string>();
  readonly #seen = new Set<object>();

  flag(flag: FlagEntry): void {
    if (!flag.active || this.#hasSeen(flag)) return;
    const { prerequisites, targets, rules, fallback } = flag.plan;
    for (const prerequisite of prerequisites) if (prerequisite.flag !== undefined) this.flag(prerequisite.flag);
    if (targets.size > 0) this.names.add("targetingKey");
    for (const { condition, serve } of rules) {
      this.#condition(condition);
      this.#serve(serve);
    }
    if (fallback !== undefined) this.#serve(fallback);
  }

  #serve({ hash }: CompiledServe): void {
    if (hash !== undefined) this.names.add(hash.attribute);
  }

  #condition(condition: CompiledCondition): void {
    switch (condition.kind) {
      case "all":
      case "any":
        for (const one of condition.conditions) this.#condition(one);
        return;
      case "not":
        this.#condition(condition.condition);
        return;
      case "match":
        this.names.add(condition.match.attribute);
        return;
      case "segment":
        this.#segment(condition.segment);
        return;
      case "rollout":
        this.names.add(condition.hash.attribute);
        return;
    }
  }

  #segment(segment: CompiledSegment): void {
    if (this.#hasSeen(segment)) return;
    if (segment.included.size > 0 || segment.excluded.size > 0) this.names.add("targetingKey");
    if (segment.condition !== undefined) this.#condition(segment.condition);
  }

  #hasSeen(one: object): boolean {
    const isSeen = this.#seen.has(one);
    this.#seen.add(one);
    return isSeen;
  }
}
