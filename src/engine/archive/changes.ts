/** What a container has changed in its image: the difference between its upper directory and the layers below.
 *  Source: Linux filesystems/overlayfs (whiteouts are character devices 0:0, opaque directories have an xattr). */
import { closeSync, constants, fstatSync, openSync, type BigIntStats } from "node:fs";
import { posix } from "node:path";
import { listAt, openDirectoryAt, pathAt, statAt } from "../../host/directory.ts";
import * as libc from "../../host/libc.ts";

export interface Change {
  readonly Path: string;
  /** 0: modified, 1: added, 2: deleted. */
  readonly Kind: 0 | 1 | 2;
}

/** `lower`: directories, highest first. Sorted by path. */
export async function findChanges(upper: string, lower: readonly string[]): Promise<readonly Change[]> {
  const open = (path: string): number => openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  const layers = lower.map(open);
  const changes: Change[] = [];
  const root = open(upper);
  try {
    await compare({ dir: root, path: "/", depth: 0 }, layers, changes);
  } finally {
    for (const fd of [root, ...layers]) closeSync(fd);
  }
  return changes.toSorted((a, b) => (a.Path < b.Path ? -1 : 1));
}

const maxDepth = 512;

async function compare(
  level: { readonly dir: number; readonly path: string; readonly depth: number },
  layers: readonly number[],
  changes: Change[],
): Promise<void> {
  for (const name of listAt(level.dir)) {
    if (changes.length % 512 === 511) await new Promise((resolve) => setImmediate(resolve));
    const stat = statAt(level.dir, name);
    if (stat === undefined) continue;
    const path = posix.join(level.path, name.toString());
    const before = lookUp(layers, path);
    if (isWhiteout(stat)) {
      if (before !== undefined) changes.push({ Path: path, Kind: 2 });
      continue;
    }
    if (before === undefined) changes.push({ Path: path, Kind: 1 });
    else if (!isSameDirectory(before, stat)) changes.push({ Path: path, Kind: 0 });
    if (!stat.isDirectory() || level.depth >= maxDepth) continue;
    const dir = openDirectoryAt(level.dir, name);
    if (dir === undefined) continue;
    try {
      const hidden =
        before?.isDirectory() !== true ||
        libc.lgetxattr(pathAt(level.dir, name), "trusted.overlay.opaque") !== undefined;
      if (hidden && before?.isDirectory() === true) changes.push(...deletedBehind(dir, path, layers));
      await compare({ dir, path, depth: level.depth + 1 }, hidden ? [] : layers, changes);
    } finally {
      closeSync(dir);
    }
  }
}

/** A directory that was made anew in the place of an old one: what only the old one had is gone. */
function deletedBehind(dir: number, path: string, layers: readonly number[]): Change[] {
  const gone = new Map<string, Change>();
  for (const layer of layers) {
    const fd = openBeneath(layer, path, libc.O_DIRECTORY);
    if (fd === undefined) continue;
    for (const name of listAt(fd)) {
      const full = posix.join(path, name.toString());
      if (statAt(dir, name) === undefined && lookUp(layers, full) !== undefined)
        gone.set(full, { Path: full, Kind: 2 });
    }
    closeSync(fd);
  }
  return [...gone.values()];
}

function isWhiteout(stat: BigIntStats): boolean {
  return stat.isCharacterDevice() && stat.rdev === 0n;
}

/** In the upper directory only because something below it has changed. */
function isSameDirectory(a: BigIntStats, b: BigIntStats): boolean {
  if (!a.isDirectory() || !b.isDirectory()) return false;
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid && a.mtimeNs === b.mtimeNs;
}

/** The highest layer that says something about `path` decides. */
function lookUp(layers: readonly number[], path: string): BigIntStats | undefined {
  for (const layer of layers) {
    const fd = openBeneath(layer, path, libc.O_PATH | libc.O_NOFOLLOW);
    if (fd === undefined) continue;
    const stat = fstatSync(fd, { bigint: true });
    closeSync(fd);
    return isWhiteout(stat) ? undefined : stat;
  }
  return undefined;
}

/** Layers come from images: a symlink on the way is not gone through. */
function openBeneath(layer: number, path: string, flags: number): number | undefined {
  try {
    return libc.openat2(layer, path.slice(1), { flags, resolve: libc.RESOLVE_BENEATH | libc.RESOLVE_NO_SYMLINKS });
  } catch (error) {
    if (libc.syscallErrno(error) === undefined) throw error;
    return undefined;
  }
}
