/** Which entries of a source a COPY names. */
import { TscomposeError } from "../../../errors.ts";
import { hasWildcards, goMatch } from "../ignore/go-match.ts";
import { joinTree, shown, toBytes } from "./tree.ts";
import type { Tree } from "./tree.ts";

/** The part before the first component with a wildcard, and the rest. */
function splitWildcards(path: string): { readonly fixed: string; readonly pattern: string } {
  const parts = path.split("/").filter((part) => part !== "");
  const first = parts.findIndex(hasWildcards);
  if (first < 0) return { fixed: parts.join("/"), pattern: "" };
  return { fixed: parts.slice(0, first).join("/"), pattern: parts.slice(first).join("/") };
}

/** Paths as they are named (not resolved), in the order of their bytes. A path without wildcards is given as it is, whether it
 *  exists or not. What is below a directory that matches is not looked at.
 *  @throws build/failed where the directory before the first wildcard is not there */
export function matchingSources(tree: Tree, path: string): readonly string[] {
  const { fixed, pattern } = splitWildcards(path);
  if (pattern === "") return [toBytes(fixed)];
  const base = tree.resolve(toBytes(fixed));
  const stat = tree.stat(base);
  if (stat === undefined) throw new TscomposeError("build/failed", `lstat /${fixed}: no such file or directory`);
  const found: string[] = [];
  const walk = (relative: string): void => {
    for (const name of tree.list(joinTree(base, relative))) {
      const below = joinTree(relative, name);
      if (goMatch(pattern, shown(below)) === true) found.push(joinTree(base, below));
      else if (tree.stat(joinTree(base, below))?.isDirectory() === true) walk(below);
    }
  };
  if (stat.isDirectory()) walk("");
  return found;
}
