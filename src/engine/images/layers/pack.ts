/** A directory in overlay form -> the tar of a layer. The same directory always gives the same bytes: entries in the order of
 *  their bytes, a directory before what is in it, whole seconds, no names of users; so a layer need not be kept as a tar beside its
 *  directory. Char 0:0 becomes a `.wh.` entry, an opaque directory gets `.wh..wh..opq`. Sockets are left out, as Docker does.
 *  The walk goes by descriptors: nothing outside the directory is read. Source: OCI image-spec layer.md. */
import { closeSync, constants, fstatSync, openSync, readlinkSync, readSync, type BigIntStats } from "node:fs";
import { TscomposeError } from "../../../errors.ts";
import { listAt, openDirectoryAt, pathAt, statAt } from "../../../host/directory.ts";
import * as libc from "../../../host/libc.ts";
import { openRegular } from "../../../host/open-regular.ts";
import { emptyXattrs, type TarEntry, type TarType } from "../tar/entry.ts";
import { encodeHeader, endOfArchive, padding } from "../tar/writer.ts";
import { opaqueMarker, whiteoutName } from "./whiteout.ts";
import { isLayerXattr, opaqueXattr } from "./xattrs.ts";

const chunkBytes = 1 << 20;
const slash = Buffer.from("/");
const noBytes = Buffer.alloc(0);

export interface PackCount {
  /** Bytes of regular files so far. */
  fileBytes: number;
}
interface PackState {
  readonly count: PackCount | undefined;
  /** Inode of a file with several names -> the name it was packed under. */
  readonly links: Map<string, Buffer>;
}

/** The tar as chunks, each valid until the next is asked for. Regular files must not change meanwhile.
 *  @throws image/invalid when a file shrinks while it is read */
export function* packDirectory(directory: string, count?: PackCount): Generator<Buffer> {
  const fd = openSync(directory, constants.O_RDONLY | libc.O_DIRECTORY);
  try {
    yield* packChildren(fd, noBytes, { links: new Map(), count });
    yield endOfArchive;
  } finally {
    closeSync(fd);
  }
}

function* packChildren(dirFd: number, path: Buffer, state: PackState): Generator<Buffer> {
  if (isOpaque(dirFd)) yield encodeHeader(whiteoutEntry(join(path, opaqueMarker)));
  for (const name of listAt(dirFd).toSorted((a, b) => a.compare(b))) {
    const stat = statAt(dirFd, name);
    if (stat === undefined) continue;
    const found = { dirFd, name, path: join(path, name), parent: path, stat };
    try {
      yield* packEntry(found, state);
    } catch (error) {
      if (!isGone(error)) throw error;
      // It went after it was listed, and before anything of it was packed: it is left out, and is no other name's first.
      const inode = inodeOf(stat);
      if (state.links.get(inode)?.equals(found.path) === true) state.links.delete(inode);
    }
  }
}

/** EINVAL of readlink(2): what was a symbolic link is another thing now. Of a read it would be a fault after the header is out. */
function isGone(error: unknown): boolean {
  const { code, syscall } = error as NodeJS.ErrnoException;
  return (libc.syscallErrno(error) ?? code) === "ENOENT" || (code === "EINVAL" && syscall === "readlink");
}
const inodeOf = ({ dev, ino }: BigIntStats): string => `${dev}:${ino}`;

interface Found {
  readonly dirFd: number;
  readonly name: Buffer;
  readonly path: Buffer;
  readonly parent: Buffer;
  readonly stat: BigIntStats;
}

function* packEntry(found: Found, state: PackState): Generator<Buffer> {
  const { stat } = found;
  if (stat.isSocket()) return;
  if (stat.isCharacterDevice() && stat.rdev === 0n) {
    yield encodeHeader(whiteoutEntry(join(found.parent, whiteoutName(found.name))));
    return;
  }
  const inode = inodeOf(stat);
  const first = stat.nlink > 1n && !stat.isDirectory() ? state.links.get(inode) : undefined;
  if (first !== undefined) {
    yield encodeHeader({ ...describe(found, "hardlink"), linkName: first });
    return;
  }
  if (stat.nlink > 1n && !stat.isDirectory()) state.links.set(inode, found.path);
  if (stat.isDirectory()) yield* packDirectoryEntry(found, state);
  else if (stat.isFile()) yield* packFile(found, state);
  else if (stat.isSymbolicLink()) {
    const linkName = readlinkSync(pathAt(found.dirFd, found.name), { encoding: "buffer" });
    yield encodeHeader({ ...describe(found, "symlink"), linkName });
  } else yield encodeHeader(describe(found, nodeType(stat)));
}

function* packDirectoryEntry(found: Found, state: PackState): Generator<Buffer> {
  yield encodeHeader({ ...describe(found, "dir"), name: join(found.path, noBytes) });
  const fd = openDirectoryAt(found.dirFd, found.name);
  if (fd === undefined) return;
  try {
    yield* packChildren(fd, found.path, state);
  } finally {
    closeSync(fd);
  }
}

function* packFile(found: Found, { count }: PackState): Generator<Buffer> {
  const fd = openRegular(found.dirFd, found.name);
  if (fd === undefined) return; // swapped since it was listed
  try {
    const size = Number(fstatSync(fd, { bigint: true }).size);
    yield encodeHeader({ ...describe(found, "file"), size });
    if (count !== undefined) count.fileBytes += size;
    if (size === 0) return;
    const buffer = Buffer.allocUnsafe(Math.min(size, chunkBytes));
    for (let left = size; left > 0;) {
      const count = readSync(fd, buffer, 0, Math.min(left, buffer.length), null);
      if (count === 0) {
        throw new TscomposeError("image/invalid", `${found.path.toString()} became shorter while it was packed`);
      }
      left -= count;
      yield buffer.subarray(0, count);
    }
    yield padding(size);
  } finally {
    closeSync(fd);
  }
}

function describe({ dirFd, name, path, stat }: Found, type: TarType): TarEntry {
  const device = type === "char" || type === "block" ? splitDevice(stat.rdev) : { major: 0, minor: 0 };
  return {
    type,
    name: path,
    linkName: noBytes,
    mode: Number(stat.mode) & 0o7777,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    size: 0,
    mtime: { sec: Number(stat.mtimeNs / 1_000_000_000n), nsec: 0 },
    device,
    xattrs: type === "hardlink" ? emptyXattrs : readXattrs(dirFd, name),
  };
}

function readXattrs(dirFd: number, name: Buffer): ReadonlyMap<string, Buffer> {
  const path = pathAt(dirFd, name);
  const names = libc.llistxattr(path).filter(isLayerXattr);
  if (names.length === 0) return emptyXattrs;
  return new Map(
    names.flatMap((key) => {
      const value = libc.lgetxattr(path, key);
      return value === undefined ? [] : [[key, value] as const];
    }),
  );
}

function whiteoutEntry(name: Buffer): TarEntry {
  return {
    type: "file",
    name,
    linkName: noBytes,
    mode: 0,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: { sec: 0, nsec: 0 },
    device: { major: 0, minor: 0 },
    xattrs: emptyXattrs,
  };
}

function isOpaque(dirFd: number): boolean {
  return libc.lgetxattr(`/proc/self/fd/${dirFd}/.`, opaqueXattr)?.toString() === "y";
}

function nodeType(stat: BigIntStats): TarType {
  if (stat.isCharacterDevice()) return "char";
  return stat.isBlockDevice() ? "block" : "fifo";
}

/** The reverse of makedev(3). */
function splitDevice(rdev: bigint): { readonly major: number; readonly minor: number } {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n);
  return { major: Number(major), minor: Number(minor) };
}

function join(path: Buffer, name: Buffer): Buffer {
  return path.length === 0 ? name : Buffer.concat([path, slash, name]);
}
