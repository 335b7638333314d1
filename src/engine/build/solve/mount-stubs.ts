/** Places that the runtime makes in the root file system so that something can be mounted there. They are no part of what a RUN
 *  step made: taken away again when they are still empty. */
import { rmdirSync, unlinkSync } from "node:fs";
import { utimensat } from "../../../host/libc.ts";
import { parentOf, toBytes, Tree } from "../files/tree.ts";
import type { FileTime } from "../files/make-directories.ts";

interface Missing {
  readonly path: string;
  /** The directory above that was there, and its time. */
  readonly parent: string;
  readonly time: FileTime;
}

/** Call before the container starts; the result takes the places away. */
export function rememberStubs(root: string, targets: readonly string[]): () => void {
  const tree = new Tree(root);
  const missing: Missing[] = [];
  for (const target of targets) {
    let path = tree.resolve(toBytes(target));
    while (path !== "" && tree.stat(path) === undefined) {
      const parent = parentOf(path);
      const stat = tree.stat(parent);
      const mtime = stat?.mtimeNs ?? 0n;
      if (!missing.some((entry) => entry.path === path))
        missing.push({ path, parent, time: { sec: mtime / 1_000_000_000n, nsec: Number(mtime % 1_000_000_000n) } });
      path = parent;
    }
  }
  tree.close();
  return () => removeStubs(root, missing);
}

function removeStubs(root: string, missing: readonly Missing[]): void {
  if (missing.length === 0) return;
  const tree = new Tree(root);
  try {
    // Deepest first: what was made above them is empty then.
    for (const { path, parent, time } of missing.toSorted((a, b) => b.path.length - a.path.length)) {
      // The program may have put a symlink on the way: what is behind one is not what the runtime made.
      if (tree.resolve(path, "keep") !== path) continue;
      const stat = tree.stat(path);
      if (stat === undefined) continue;
      if (stat.isDirectory() ? tree.list(path).length > 0 : stat.size > 0n) continue;
      if (stat.isDirectory()) rmdirSync(tree.path(path));
      else unlinkSync(tree.path(path));
      if (tree.stat(parent) !== undefined)
        utimensat(tree.fd, Buffer.from(parent === "" ? "." : parent, "latin1"), time);
    }
  } finally {
    tree.close();
  }
}
