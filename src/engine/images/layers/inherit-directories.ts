/** Directories that a layer only passes through: its tar names a file in them but not themselves. overlayfs shows the topmost
 *  directory's owner, mode and time, so they must be those of the layers below, or /tmp would lose its sticky bit. A layer is one
 *  directory however many images share it: the first image decides. Source: containerd, archive mkparent. */
import { closeSync, constants, fchmodSync, fchownSync, fstatSync, openSync, type BigIntStats } from "node:fs";
import * as libc from "../../../host/libc.ts";

const flags = constants.O_RDONLY | libc.O_DIRECTORY | libc.O_NOFOLLOW;
const resolve = libc.RESOLVE_BENEATH | libc.RESOLVE_NO_SYMLINKS;

/** @param below directories of the layers below, lowest first
 *  @param paths latin1 */
export function inheritDirectories(layerDir: string, below: readonly string[], paths: readonly string[]): void {
  const rootFd = openSync(layerDir, constants.O_RDONLY | libc.O_DIRECTORY);
  // An open descriptor a layer, not a path walk a directory and layer.
  const lower = below.toReversed().map((dir) => openSync(dir, constants.O_RDONLY | libc.O_DIRECTORY));
  try {
    for (const path of paths) {
      const bytes = Buffer.from(path, "latin1");
      const model = findBelow(lower, bytes);
      if (model !== undefined) describeLike(rootFd, bytes, model);
    }
  } finally {
    for (const fd of [rootFd, ...lower]) closeSync(fd);
  }
}

/** The topmost directory at the path; undefined: there is none, or something else hides it. */
function findBelow(lower: readonly number[], path: Buffer): BigIntStats | undefined {
  for (const rootFd of lower) {
    let fd: number;
    try {
      fd = libc.openat2(rootFd, path, { flags, resolve });
    } catch (error) {
      if (libc.syscallErrno(error) === "ENOENT") continue;
      return undefined;
    }
    try {
      return fstatSync(fd, { bigint: true });
    } finally {
      closeSync(fd);
    }
  }
  return undefined;
}

function describeLike(rootFd: number, path: Buffer, model: BigIntStats): void {
  let fd: number;
  try {
    fd = libc.openat2(rootFd, path, { flags, resolve });
  } catch (error) {
    const errno = libc.syscallErrno(error);
    if (errno === "ENOENT" || errno === "ENOTDIR" || errno === "ELOOP") return; // a later entry replaced it
    throw error;
  }
  try {
    fchownSync(fd, Number(model.uid), Number(model.gid));
    fchmodSync(fd, Number(model.mode) & 0o7777);
    const sec = model.mtimeNs / 1_000_000_000n;
    libc.futimens(fd, { sec, nsec: Number(model.mtimeNs - sec * 1_000_000_000n) });
  } finally {
    closeSync(fd);
  }
}
