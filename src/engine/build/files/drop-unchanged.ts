/** Takes out of a new layer what the files below it have in the same way: a file that was copied up and not changed, a second COPY
 *  of the same file. Source: BuildKit util/overlay sameDirent; extended attributes count here, too. */
import { closeSync, constants, openSync, readSync, rmdirSync, unlinkSync, type BigIntStats } from "node:fs";
import * as libc from "../../../host/libc.ts";
import { isLayerXattr, opaqueXattr } from "../../images/layers/xattrs.ts";
import { joinTree, Tree } from "./tree.ts";

const chunkBytes = 1 << 18;

/** Entries between two pauses for everything else the engine does. */
const entriesBetweenPauses = 2000;

interface Walk {
  readonly upper: Tree;
  readonly lower: Tree;
  readonly pause: () => Promise<void>;
}

/** @param lower the files below the layer, as one tree */
export async function dropUnchanged(upperDirectory: string, lower: Tree): Promise<void> {
  const upper = new Tree(upperDirectory);
  let count = 0;
  const pause = async (): Promise<void> => {
    count += 1;
    if (count % entriesBetweenPauses === 0) await new Promise((resolve) => setImmediate(resolve));
  };
  try {
    await dropBelow({ upper, lower, pause }, "");
  } finally {
    upper.close();
  }
}

async function dropBelow(walk: Walk, directory: string): Promise<void> {
  const { upper, lower } = walk;
  for (const name of upper.list(directory)) {
    await walk.pause();
    const path = joinTree(directory, name);
    const below = lower.stat(path);
    const stat = below === undefined ? undefined : upper.stat(path);
    if (below === undefined || stat === undefined) continue;
    if (stat.isDirectory()) {
      // Of an opaque directory nothing below is seen, so all of it has to stay.
      if (!below.isDirectory() || isOpaque(upper, path)) continue;
      await dropBelow(walk, path);
      if (sameAttributes(walk, path, [stat, below]) && upper.list(path).length === 0) rmdirSync(upper.path(path));
    } else if (isSame(walk, path, [stat, below])) unlinkSync(upper.path(path));
  }
}

function isOpaque(tree: Tree, path: string): boolean {
  return libc.lgetxattr(tree.path(path), opaqueXattr) !== undefined;
}

type Stats = readonly [upper: BigIntStats, lower: BigIntStats];

/** All but times and contents. */
function sameAttributes(walk: Walk, path: string, [a, b]: Stats): boolean {
  if (a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid || a.rdev !== b.rdev) return false;
  return xattrsOf(walk.upper, path) === xattrsOf(walk.lower, path);
}

function xattrsOf(tree: Tree, path: string): string {
  const at = tree.path(path);
  const names = libc.llistxattr(at).filter(isLayerXattr).toSorted();
  return JSON.stringify(names.map((name) => [name, libc.lgetxattr(at, name)?.toString("latin1")]));
}

function isSame(walk: Walk, path: string, stats: Stats): boolean {
  const [a, b] = stats;
  if (a.size !== b.size || a.mtimeNs !== b.mtimeNs || !sameAttributes(walk, path, stats)) return false;
  if (a.isSymbolicLink()) return walk.upper.link(path) === walk.lower.link(path);
  return !a.isFile() || a.size === 0n || sameContent(walk, path);
}

function sameContent({ upper, lower }: Walk, path: string): boolean {
  const flags = constants.O_RDONLY | libc.O_NOFOLLOW;
  const fds = [openSync(upper.path(path), flags)];
  try {
    fds.push(openSync(lower.path(path), flags));
    const buffers = fds.map(() => Buffer.allocUnsafe(chunkBytes));
    for (;;) {
      const [a, b] = fds.map((fd, index) => {
        const buffer = buffers[index] ?? Buffer.alloc(0);
        return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, null));
      });
      if (a === undefined || b === undefined || !a.equals(b)) return false;
      if (a.length === 0) return true;
    }
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}
