import { withEntries } from "../tree.ts";
import type { Entry, MapNode, Node } from "../tree.ts";

/** `<<: *a` and `<<: [*a, *b]`: keys of the map itself win, then earlier maps over later ones. Undefined where the value is
 *  neither a map nor a list of maps. */
export function foldMergeKey(node: MapNode, merged: Node): MapNode | undefined {
  const sources = merged.kind === "seq" ? merged.items : [merged];
  const entries = new Map<string, Entry>(node.entries);
  for (const source of sources) {
    if (source.kind !== "map") return undefined;
    for (const [key, entry] of source.entries) {
      const own = entries.get(key);
      if (own === undefined) entries.set(key, entry);
      // `!reset` takes only the map's own value away: the merged one shows, and still replaces what came before.
      else if (own.value.tag === "!reset") {
        entries.set(key, { ...entry, value: { ...entry.value, tag: entry.value.tag ?? "!override" } });
      }
    }
  }
  return withEntries(node, entries);
}
