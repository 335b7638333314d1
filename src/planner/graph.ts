/** Directed graph of named things that wait for each other. Pure. */
export interface Graph {
  /** Dependencies before dependents; ties by name, so that plans are the same every time. */
  readonly order: readonly string[];
  dependenciesOf(name: string): readonly string[];
  dependentsOf(name: string): readonly string[];
}

/** Edges to names that are not nodes are dropped. A cycle (the spec layer refuses them) leaves its members in name order. */
export function createGraph(edges: ReadonlyMap<string, Iterable<string>>): Graph {
  const names = [...edges.keys()].toSorted();
  const dependencies = new Map<string, readonly string[]>();
  const dependents = new Map<string, string[]>(names.map((name) => [name, []]));
  for (const name of names) {
    const known = [...new Set(edges.get(name))].filter((other) => other !== name && edges.has(other)).toSorted();
    dependencies.set(name, known);
    for (const other of known) dependents.get(other)?.push(name);
  }
  const order: string[] = [];
  const state = new Map<string, "open" | "done">();
  const visit = (name: string): void => {
    if (state.has(name)) return;
    state.set(name, "open");
    for (const other of dependencies.get(name) ?? []) visit(other);
    state.set(name, "done");
    order.push(name);
  };
  for (const name of names) visit(name);
  return {
    order,
    dependenciesOf: (name) => dependencies.get(name) ?? [],
    dependentsOf: (name) => dependents.get(name) ?? [],
  };
}

/** `start` and everything reachable from it. */
export function closure(start: Iterable<string>, next: (name: string) => readonly string[]): ReadonlySet<string> {
  const seen = new Set<string>();
  const open = [...start];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    open.push(...next(name));
  }
  return seen;
}
