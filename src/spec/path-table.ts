/** A table keyed by path patterns (`services.*.ports`), walked along with the tree so that a look-up costs one step a level.
 *  `*` stands for any key or index. A literal key goes before `*`. */
export interface PathTable<T> {
  readonly value: T | undefined;
  readonly any: PathTable<T> | undefined;
  readonly keys: ReadonlyMap<string, PathTable<T>>;
}

interface Building<T> {
  value: T | undefined;
  any: Building<T> | undefined;
  keys: Map<string, Building<T>>;
}

/** @throws Error for a pattern given twice: one of the two would never apply. */
export function pathTable<T>(rows: readonly (readonly [pattern: string, value: T])[]): PathTable<T> {
  const root: Building<T> = { value: undefined, any: undefined, keys: new Map() };
  for (const [pattern, value] of rows) {
    let node = root;
    for (const step of pattern.split(".")) node = descend(node, step);
    if (node.value !== undefined) throw new Error(`path pattern given twice: ${pattern}`);
    node.value = value;
  }
  return root;
}

function descend<T>(node: Building<T>, step: string): Building<T> {
  if (step === "*") return (node.any ??= { value: undefined, any: undefined, keys: new Map() });
  let next = node.keys.get(step);
  if (next === undefined) {
    next = { value: undefined, any: undefined, keys: new Map() };
    node.keys.set(step, next);
  }
  return next;
}

export function step<T>(table: PathTable<T> | undefined, key: string): PathTable<T> | undefined {
  return table === undefined ? undefined : (table.keys.get(key) ?? table.any);
}
