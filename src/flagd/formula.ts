import { clone, create } from "@bufbuild/protobuf";
import { type Condition, ConditionSchema } from "../../gen/flagwire/v1/condition_pb.js";

/**
 * A condition in the making. Parts are shared, so a formula can stand for a far larger tree than it takes memory; ask for
 * its size before making a condition of it.
 */
export type Formula =
  | { readonly kind: "constant"; readonly holds: boolean }
  | { readonly kind: "leaf"; readonly condition: Condition }
  | { readonly kind: "all" | "any"; readonly parts: readonly Formula[] }
  | { readonly kind: "not"; readonly part: Formula };

export const ALWAYS: Formula = { kind: "constant", holds: true };
export const NEVER: Formula = { kind: "constant", holds: false };

export function constantFormula(holds: boolean): Formula {
  return holds ? ALWAYS : NEVER;
}

export function leaf(condition: Condition): Formula {
  return { kind: "leaf", condition };
}

/** Holds if every part does. */
export function all(...parts: readonly Formula[]): Formula {
  return join("all", parts);
}

/** Holds if at least one part does. */
export function any(...parts: readonly Formula[]): Formula {
  return join("any", parts);
}

export function not(part: Formula): Formula {
  if (part.kind === "constant") return constantFormula(!part.holds);
  return part.kind === "not" ? part.part : { kind: "not", part };
}

function join(kind: "all" | "any", parts: readonly Formula[]): Formula {
  const neutral = kind === "all";
  const kept = new Set<Formula>();
  for (const part of parts) {
    if (part.kind === "constant") {
      if (part.holds !== neutral) return part;
    } else if (part.kind === kind) {
      for (const inner of part.parts) kept.add(inner);
    } else {
      kept.add(part);
    }
  }
  const [only] = kept;
  if (only === undefined) return constantFormula(neutral);
  return kept.size === 1 ? only : { kind, parts: [...kept] };
}

/** What a formula would be as a condition. */
export interface FormulaSize {
  readonly nodes: number;
  readonly depth: number;
}

/** Measures a formula without writing it out. */
export function measure(formula: Formula, known: Map<Formula, FormulaSize> = new Map()): FormulaSize {
  const before = known.get(formula);
  if (before !== undefined) return before;
  let nodes = 1;
  let depth = 1;
  const parts = formula.kind === "not" ? [formula.part] : "parts" in formula ? formula.parts : [];
  for (const part of parts) {
    const size = measure(part, known);
    nodes += size.nodes;
    depth = Math.max(depth, size.depth + 1);
  }
  const size = { nodes, depth };
  known.set(formula, size);
  return size;
}

/** Writes a formula out. The condition shares nothing with it. */
export function toCondition(formula: Formula): Condition {
  switch (formula.kind) {
    case "constant":
      return create(ConditionSchema, { kind: { case: formula.holds ? "all" : "any", value: {} } });
    case "leaf":
      return clone(ConditionSchema, formula.condition);
    case "not":
      return create(ConditionSchema, { kind: { case: "not", value: toCondition(formula.part) } });
    default:
      return create(ConditionSchema, {
        kind: { case: formula.kind, value: { conditions: formula.parts.map(toCondition) } },
      });
  }
}
