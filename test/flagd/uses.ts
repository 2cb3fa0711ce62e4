import { EVALUATORS, type Json } from "./generate.js";

/** One operand that an operator of a targeting is given. */
export interface Use {
  /** `truth` where a value decides a branch or is the result. */
  readonly operator: string;
  /** The position among the operands. */
  readonly at: number;
  /** The name of an attribute; undefined for a constant. */
  readonly attribute: string | undefined;
  /** The attribute's default, or the constant. */
  readonly constant: Json | undefined;
  /** The other operands that are constants, or defaults. */
  readonly others: readonly Json[];
}

const LOGIC = new Set(["if", "and", "or", "!", "!!"]);
type Parts = Readonly<Record<string, Json>>;

/** Every operand of a targeting that is an attribute or a constant. */
export function usesOf(expression: Json | undefined): Use[] {
  const resolved = dereference(expression);
  if (!isObject(resolved)) return [];
  if (resolved.var !== undefined) return [toUse("truth", resolved, 0, [])];
  return Object.entries(resolved).flatMap(([operator, argument]) => {
    const operands = Array.isArray(argument) ? argument : [argument];
    return operands.flatMap((operand, at) => {
      const inner = dereference(operand);
      if (isObject(inner) && inner.var === undefined) return usesOf(inner);
      // The entries of a fractional hold expressions too.
      const nested = Array.isArray(inner) ? inner.flatMap(usesOf) : [];
      const others = operands.flatMap((other, index) => (index === at ? [] : constantsIn(other)));
      return [...nested, toUse(LOGIC.has(operator) ? "truth" : operator, inner, at, others)];
    });
  });
}

function toUse(operator: string, operand: Json | undefined, at: number, others: readonly Json[]): Use {
  if (!isObject(operand)) return { operator, at, attribute: undefined, constant: operand, others };
  const [attribute, constant] = Array.isArray(operand.var) ? operand.var : [operand.var];
  return { operator, at, attribute: String(attribute), constant, others };
}

function constantsIn(operand: Json): readonly Json[] {
  if (!isObject(operand)) return [operand];
  return Array.isArray(operand.var) && operand.var[1] !== undefined ? [operand.var[1]] : [];
}

function dereference(expression: Json | undefined): Json | undefined {
  const name = isObject(expression) ? expression.$ref : undefined;
  return typeof name === "string" ? (EVALUATORS as Parts)[name] : expression;
}

export function isObject(json: Json | undefined): json is Parts {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

/** An attribute as flagd finds it: names with dots are paths only. */
export function valueAt(context: Json, path: string): Json | undefined {
  let value: Json | undefined = context;
  for (const step of path.split(".")) value = isObject(value) ? value[step] : undefined;
  return value;
}
