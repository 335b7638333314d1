import { step } from "./path-table.ts";
import type { PathTable } from "./path-table.ts";
import { mergeRules } from "./merge-rules.ts";
import type { MergeRule } from "./merge-rules.ts";
import type { Report } from "./report.ts";
import { beating, isNull, withEntries, withItems, withValue } from "./tree.ts";
import type { Entry, MapNode, Node, TreePath } from "./tree.ts";

/** What a merge needs to know besides its two sides. */
export interface Merging {
  readonly report: Report;
}

/** `over` on top of `base`, both standing at `path`. Source: compose-spec "merge", as compose-go does it: maps key by key,
 *  lists appended, null keeps what there was, anything replaces a scalar; special rules by path. */
export function mergeTrees(base: Node, over: Node, path: TreePath, merging: Merging): Node {
  let table: PathTable<MergeRule> | undefined = mergeRules;
  for (const key of path) table = step(table, key);
  return mergeAt(base, over, path, table, merging);
}

function mergeAt(
  base: Node,
  over: Node,
  path: TreePath,
  table: PathTable<MergeRule> | undefined,
  merging: Merging,
): Node {
  const inner = (left: MapNode, right: MapNode): Node => mergeMaps(left, right, path, table, merging);
  const rule = table?.value;
  if (rule !== undefined) return rule(base, over, { path, mergeMaps: inner, report: merging.report });
  if (isNull(over)) return base;
  if (base.kind === "scalar") return beating(over, base);
  if (base.kind === "map" && over.kind === "map") return inner(base, over);
  if (base.kind === "seq" && over.kind === "seq") return withItems(base, [...base.items, ...over.items]);
  const kind = base.kind === "map" ? "a map" : "a list";
  merging.report.error({
    code: "merge",
    message: `cannot override ${path.join(".")}: it is ${kind} and the overriding value is not`,
    path,
    at: over,
    expected: kind,
    chain: [chainTo(base, "overridden in")],
  });
  return base;
}

function chainTo(
  node: Node,
  relation: "overridden in",
): { relation: "overridden in"; file: string; line: number; column: number } {
  const before = node.file.text.slice(0, node.start);
  const line = before.split("\n").length;
  return { relation, file: node.file.path, line, column: node.start - before.lastIndexOf("\n") };
}

function mergeMaps(
  base: MapNode,
  over: MapNode,
  path: TreePath,
  table: PathTable<MergeRule> | undefined,
  merging: Merging,
): MapNode {
  if (over.entries.size === 0) return base;
  const entries = new Map<string, Entry>(base.entries);
  for (const [key, entry] of over.entries) {
    const old = entries.get(key);
    if (old === undefined) {
      entries.set(key, entry);
      continue;
    }
    const value = mergeAt(old.value, entry.value, [...path, key], step(table, key), merging);
    entries.set(key, withValue(value === entry.value ? entry : old, value));
  }
  return withEntries(base, entries);
}
