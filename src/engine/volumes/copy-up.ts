/** Copies what an image holds at a path into an empty volume. The image is hostile: every step is one name below an open
 *  directory, symlinks are copied and never followed, so nothing outside the root is read and nothing outside the volume is
 *  written (security.md E-10, E-11). Names that were hard links of each other become files of their own. */
import {
  chmodSync,
  chownSync,
  constants,
  copyFileSync,
  fchmodSync,
  fstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
} from "node:fs";
import type { BigIntStats, Stats } from "node:fs";
import { copyFile } from "node:fs/promises";
import { TscomposeError } from "../../errors.ts";
import { listAt, openDirectoryAt, pathAt, statAt, usingFd } from "../../host/directory.ts";
import { ownerInside, type IdMap } from "../../host/id-map.ts";
import * as libc from "../../host/libc.ts";

/** Makes a directory with the owner and mode of another. */
export function makeLike(path: string, like: Stats): void {
  mkdirSync(path, { mode: 0o700 });
  chownSync(path, like.uid, like.gid);
  chmodSync(path, like.mode & 0o7777);
}

/** A mounted root, and the map that its owners are shown with. */
export interface ImageRoot {
  readonly rootfs: string;
  readonly map: IdMap | undefined;
}

/** Copies the content, owner and mode of `target`, resolved within `rootfs` as the container would, into the directory
 *  `volumeDir`. An image that has no directory there: nothing to do. */
export async function copyUp({ rootfs, map }: ImageRoot, target: string, volumeDir: string): Promise<void> {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY;
  const copy: Copy = { entries: 0, map };
  await usingFd(openSync(rootfs, flags), async (root) => {
    const source = openInRoot(root, target);
    if (source === undefined) return;
    await usingFd(source, () =>
      usingFd(openSync(volumeDir, flags | constants.O_NOFOLLOW), async (volume) => {
        await copyDirectory({ from: source, to: volume, depth: 0 }, copy);
        finishDirectory(volume, fstatSync(source, { bigint: true }), copy);
      }),
    );
  });
}

function openInRoot(root: number, target: string): number | undefined {
  try {
    const resolve = libc.RESOLVE_IN_ROOT | libc.RESOLVE_NO_MAGICLINKS;
    return libc.openat2(root, target.replace(/^\/+/, "") || ".", { flags: libc.O_DIRECTORY, resolve });
  } catch (error) {
    const errno = libc.syscallErrno(error);
    if (errno === "ENOENT" || errno === "ENOTDIR") return undefined;
    throw error;
  }
}

interface Level {
  readonly from: number;
  readonly to: number;
  readonly depth: number;
}
interface Copy {
  entries: number;
  readonly map: IdMap | undefined;
}

/** Each level holds two descriptors. */
const maxDepth = 256;
/** Larger files are copied off the main thread. */
const inlineCopyBytes = 64n * 1024n;

async function copyDirectory(level: Level, copy: Copy): Promise<void> {
  if (level.depth > maxDepth) {
    throw new TscomposeError("image/invalid", `a directory of the image is nested deeper than ${maxDepth} levels`);
  }
  for (const name of listAt(level.from)) {
    copy.entries++;
    if (copy.entries % 256 === 0) await new Promise((resolve) => setImmediate(resolve));
    const stat = statAt(level.from, name);
    if (stat === undefined) continue;
    if (stat.isDirectory()) await copySubdirectory(level, name, copy);
    else if (stat.isFile()) await copyRegular(level, name, copy);
    else copySpecial(level, name, { stat, copy });
  }
}

async function copySubdirectory(level: Level, name: Buffer, copy: Copy): Promise<void> {
  const from = openDirectoryAt(level.from, name);
  if (from === undefined) return;
  await usingFd(from, async () => {
    libc.mkdirat(level.to, name, 0o700);
    const to = libc.openat(level.to, name, libc.O_DIRECTORY | libc.O_NOFOLLOW);
    await usingFd(to, async () => {
      await copyDirectory({ from, to, depth: level.depth + 1 }, copy);
      copyAttributes(pathAt(level.from, name), pathAt(level.to, name));
      finishDirectory(to, fstatSync(from, { bigint: true }), copy);
    });
  });
}

function finishDirectory(fd: number, stat: BigIntStats, copy: Copy): void {
  libc.fchownat(fd, "", ownerOf(stat, copy));
  fchmodSync(fd, Number(stat.mode & 0o7777n));
  setTimes(fd, ".", stat);
}

async function copyRegular(level: Level, name: Buffer, copy: Copy): Promise<void> {
  const from = libc.openat(level.from, name, constants.O_RDONLY | constants.O_NONBLOCK | libc.O_NOFOLLOW);
  await usingFd(from, async () => {
    const stat = fstatSync(from, { bigint: true });
    if (!stat.isFile()) return; // swapped since it was listed
    const source = `/proc/self/fd/${from}`;
    const target = pathAt(level.to, name);
    const mode = constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE;
    if (stat.size <= inlineCopyBytes) copyFileSync(source, target, mode);
    else await copyFile(source, target, mode);
    const to = libc.openat(level.to, name, constants.O_WRONLY | libc.O_NOFOLLOW);
    await usingFd(to, () => {
      libc.fchownat(to, "", ownerOf(stat, copy));
      fchmodSync(to, Number(stat.mode & 0o7777n));
      copyAttributes(pathAt(level.from, name), target);
      setTimes(level.to, name, stat);
    });
  });
}

function copySpecial(
  level: Level,
  name: Buffer,
  { stat, copy }: { readonly stat: BigIntStats; readonly copy: Copy },
): void {
  if (stat.isSymbolicLink())
    libc.symlinkat(readlinkSync(pathAt(level.from, name), { encoding: "buffer" }), level.to, name);
  else makeNode(level.to, name, stat);
  libc.fchownat(level.to, name, ownerOf(stat, copy));
  setTimes(level.to, name, stat);
}

/** The umask is lifted for the call: a chmod afterwards could be led elsewhere by whoever shares the volume. */
function makeNode(dirFd: number, name: Buffer, stat: BigIntStats): void {
  const mask = libc.umask(0);
  try {
    libc.mknodat(dirFd, name, Number(stat.mode), stat.rdev);
  } finally {
    libc.umask(mask);
  }
}

function ownerOf(stat: BigIntStats, { map }: Copy): { readonly uid: number; readonly gid: number } {
  return ownerInside(map, { uid: Number(stat.uid), gid: Number(stat.gid) });
}

function setTimes(dirFd: number, name: Buffer | string, stat: BigIntStats): void {
  libc.utimensat(dirFd, name, { sec: stat.mtimeNs / 1_000_000_000n, nsec: Number(stat.mtimeNs % 1_000_000_000n) });
}

/** Extended attributes that belong to the content: capabilities, ACLs and the user's own. */
function copyAttributes(from: Buffer, to: Buffer): void {
  for (const name of libc.llistxattr(from)) {
    if (name !== "security.capability" && !name.startsWith("user.") && !name.startsWith("system.posix_acl_")) continue;
    const value = libc.lgetxattr(from, name);
    if (value !== undefined) libc.lsetxattr(to, name, value);
  }
}
