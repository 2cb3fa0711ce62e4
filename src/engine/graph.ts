/**
 * Groups the nodes of a directed graph into strongly connected components, each after all that it points to: what a node
 * needs comes before it, and a component of several nodes is a cycle. Edges to nodes that are not listed are ignored. Does
 * not recurse, so that a long chain cannot exhaust the stack.
 *
 * Source: R. Tarjan, "Depth-first search and linear graph algorithms", SIAM J. Comput. 1 (1972).
 */
export function componentsInOrder(nodes: Iterable<string>, edges: (node: string) => Iterable<string>): string[][] {
  const state = new Map<string, { index: number; low: number; onStack: boolean }>();
  for (const node of nodes) state.set(node, { index: -1, low: -1, onStack: false });
  const components: string[][] = [];
  const stack: string[] = [];
  let counter = 0;

  const enter = (node: string) => {
    const entry = state.get(node);
    if (entry === undefined) return undefined;
    entry.index = entry.low = counter++;
    entry.onStack = true;
    stack.push(node);
    return { node, entry, rest: edges(node)[Symbol.iterator]() };
  };

  for (const [root, { index }] of state) {
    if (index >= 0) continue;
    const path = [enter(root)];
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const next = top.rest.next();
      if (!next.done) {
        const target = state.get(next.value);
        if (target === undefined) continue;
        if (target.index < 0) path.push(enter(next.value));
        else if (target.onStack) top.entry.low = Math.min(top.entry.low, target.index);
        continue;
      }
      path.pop();
      const parent = path.at(-1);
      if (parent !== undefined) parent.entry.low = Math.min(parent.entry.low, top.entry.low);
      if (top.entry.low === top.entry.index) components.push(popComponent(stack, top.node, state));
    }
  }
  return components;
}

function popComponent(stack: string[], root: string, state: ReadonlyMap<string, { onStack: boolean }>): string[] {
  const component: string[] = [];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    const entry = state.get(node);
    if (entry !== undefined) entry.onStack = false;
    component.push(node);
    if (node === root) break;
  }
  return component;
}

/** The nodes and all that points to them, directly or through others. */
export function withDependents(
  nodes: Iterable<string>,
  all: Iterable<readonly [node: string, uses: Iterable<string>]>,
): Set<string> {
  const usedBy = new Map<string, string[]>();
  for (const [node, uses] of all) {
    for (const used of uses) {
      const users = usedBy.get(used);
      if (users === undefined) usedBy.set(used, [node]);
      else users.push(node);
    }
  }
  const found = new Set(nodes);
  // A set's iteration visits what is added on the way.
  for (const node of found) for (const user of usedBy.get(node) ?? []) found.add(user);
  return found;
}
