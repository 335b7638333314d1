import { mapChildren } from "./tree.ts";
import type { Node, TreePath } from "./tree.ts";

/** `!reset` and `!override` of one document. */
export interface Resets {
  /** The document without its `!reset` values; `!override` values stay and lose their tag. */
  readonly tree: Node | undefined;
  readonly paths: readonly TreePath[];
}

export function gatherResets(root: Node): Resets {
  if (!/!(?:reset|override)\b/.test(root.file.text)) return { tree: root, paths: [] };
  const paths: TreePath[] = [];
  const tree = strip(root, [], paths);
  return { tree, paths };
}

function strip(node: Node, path: TreePath, paths: TreePath[]): Node | undefined {
  if (node.tag !== undefined) {
    paths.push(path);
    // What stands under `!override` is taken as it is, tags inside it included.
    return node.tag === "!reset" ? undefined : { ...node, tag: undefined };
  }
  return mapChildren(node, (value, key) => strip(value, [...path, key], paths));
}

/** Takes out of `base` (whose root stands at `prefix`) what the resets name. Items of lists stay: a position in one list says
 *  nothing about another. `*` in a key of the resetting document matches every key, as in Docker Compose. */
export function applyResets(base: Node, paths: readonly TreePath[], prefix: TreePath = []): Node {
  if (paths.length === 0) return base;
  const relevant = paths.filter((path) => prefix.every((key, index) => path[index] === "*" || path[index] === key));
  return remove(
    base,
    relevant.map((path) => path.slice(prefix.length)),
  );
}

function remove(node: Node, paths: readonly TreePath[]): Node {
  if (paths.length === 0 || node.kind !== "map") return node;
  return mapChildren(node, (value, key) => {
    const under = paths.filter((path) => path[0] === key || path[0] === "*").map((path) => path.slice(1));
    return under.some((path) => path.length === 0) ? undefined : remove(value, under);
  });
}
