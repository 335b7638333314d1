/** A directory in overlay form -> the tar of a layer. The same directory always gives the same bytes: entries in the order of
 *  their bytes, a directory before what is in it, whole seconds, no names of users; so a layer need not be kept as a tar beside its
 *  directory. Char 0:0 becomes a `.wh.` entry, an opaque directory gets `.wh..wh..opq`. Sockets are left out, as Docker does.
 *  The walk goes by descriptors: nothing outside the directory is read. Source: OCI image-spec layer.md. */
import { closeSync, constants, fstatSync, openSync, readdirSync, readlinkSync, readSync } from "node:fs";
import { TscomposeError } from "../../../errors.ts";
import { openDirectoryAt, pathAt } from "../../../host/directory.ts";
import * as libc from "../../../host/libc.ts";
import { openRegular } from "../../../host/open-regular.ts";
import { hasXattrs, openToRead, statxAt, typeOf, type FileStat } from "../../../host/statx.ts";
import { blockSize, emptyXattrs, type TarEntry, type TarType } from "../tar/entry.ts";
import { encodeHeader, endOfArchive, writePlainHeader, type PlainEntry } from "../tar/writer.ts";
import { opaqueMarker, whiteoutName } from "./whiteout.ts";
import { isLayerXattr, opaqueXattr } from "./xattrs.ts";

const chunkBytes = 1 << 20;
const noBytes = Buffer.alloc(0);

export interface PackCount {
  /** Bytes of regular files so far. */
  fileBytes: number;
}
interface PackState {
  readonly chunk: Chunk;
  readonly count: PackCount | undefined;
  readonly settled: boolean;
  /** Identity of a file with several names -> the name it was packed under. */
  readonly links: Map<string, string>;
}

/** The tar as chunks, each valid until the next is asked for. Regular files must not change meanwhile.
 *  @param settled nothing else can write to the directory: files are opened without looking again at what they are
 *  @throws image/invalid when a file shrinks while it is read */
export function* packDirectory(directory: string, settled?: { readonly count: PackCount }): Generator<Buffer> {
  const fd = openSync(directory, constants.O_RDONLY | libc.O_DIRECTORY);
  const chunk = new Chunk();
  try {
    yield* packChildren(fd, "", { links: new Map(), count: settled?.count, settled: settled !== undefined, chunk });
    yield* chunk.put(endOfArchive);
    yield chunk.take();
  } finally {
    closeSync(fd);
  }
}

/** Small pieces of the tar in one buffer. */
class Chunk {
  readonly buffer = Buffer.allocUnsafe(chunkBytes);
  used = 0;

  hasRoom(size: number): boolean {
    return this.used + size <= chunkBytes;
  }

  take(): Buffer {
    const { used } = this;
    this.used = 0;
    return this.buffer.subarray(0, used);
  }

  *put(bytes: Buffer): Generator<Buffer> {
    if (!this.hasRoom(bytes.length) && this.used > 0) yield this.take();
    if (bytes.length > chunkBytes) yield bytes;
    else {
      bytes.copy(this.buffer, this.used);
      this.used += bytes.length;
    }
  }
}

/** `path`: latin1, as all paths and names here. */
function* packChildren(dirFd: number, path: string, state: PackState): Generator<Buffer> {
  if (isOpaque(dirFd))
    yield* state.chunk.put(encodeHeader(whiteoutEntry(bytesOf(join(path, opaqueMarker.toString())))));
  // By code units, which are bytes here.
  for (const name of readdirSync(`/proc/self/fd/${dirFd}`, { encoding: "latin1" }).toSorted(byUnits)) {
    const cName = Buffer.from(`${name}\0`, "latin1");
    const stat = statxAt(dirFd, cName);
    if (stat === undefined) continue;
    const found = { dirFd, cName, path: join(path, name), parent: path, stat };
    try {
      if (typeOf(stat) === constants.S_IFREG && stat.nlink === 1) yield* packFile(found, state);
      else yield* packEntry(found, state);
    } catch (error) {
      if (!isGone(error)) throw error;
      // It went after it was listed, and before anything of it was packed: it is left out, and is no other name's first.
      const inode = stat.identity();
      if (state.links.get(inode) === found.path) state.links.delete(inode);
    }
  }
}

const byUnits = (a: string, b: string): number => (a < b ? -1 : 1);

/** EINVAL of readlink(2): what was a symbolic link is another thing now. Of a read it would be a fault after the header is out. */
function isGone(error: unknown): boolean {
  const { code, syscall } = error as NodeJS.ErrnoException;
  return (libc.syscallErrno(error) ?? code) === "ENOENT" || (code === "EINVAL" && syscall === "readlink");
}

interface Found {
  readonly dirFd: number;
  /** With a NUL at its end. */
  readonly cName: Buffer;
  readonly path: string;
  readonly parent: string;
  readonly stat: FileStat;
}

const nameOf = ({ cName }: Found): Buffer => cName.subarray(0, -1);

function* packEntry(found: Found, state: PackState): Generator<Buffer> {
  const { stat } = found;
  const { chunk, links } = state;
  const type = typeOf(stat);
  if (type === constants.S_IFSOCK) return;
  if (type === constants.S_IFCHR && stat.major === 0 && stat.minor === 0) {
    const name = whiteoutName(nameOf(found)).toString("latin1");
    yield* chunk.put(encodeHeader(whiteoutEntry(bytesOf(join(found.parent, name)))));
    return;
  }
  if (type === constants.S_IFDIR) {
    yield* packDirectoryEntry(found, state);
    return;
  }
  const inode = stat.nlink > 1 ? stat.identity() : undefined;
  const first = inode === undefined ? undefined : links.get(inode);
  if (first !== undefined) {
    yield* chunk.put(encodeHeader({ ...describe(found, "hardlink"), linkName: bytesOf(first) }));
    return;
  }
  if (inode !== undefined) links.set(inode, found.path);
  if (type === constants.S_IFREG) yield* packFile(found, state);
  else if (type === constants.S_IFLNK) {
    const linkName = readlinkSync(pathAt(found.dirFd, nameOf(found)), { encoding: "buffer" });
    yield* chunk.put(encodeHeader({ ...describe(found, "symlink"), linkName }));
  } else yield* chunk.put(encodeHeader(describe(found, nodeType(type))));
}

function* packDirectoryEntry(found: Found, state: PackState): Generator<Buffer> {
  yield* state.chunk.put(encodeHeader({ ...describe(found, "dir"), name: bytesOf(`${found.path}/`) }));
  const fd = openDirectoryAt(found.dirFd, nameOf(found));
  if (fd === undefined) return;
  try {
    yield* packChildren(fd, found.path, state);
  } finally {
    closeSync(fd);
  }
}

function* packFile(found: Found, state: PackState): Generator<Buffer> {
  const fd = state.settled ? openToRead(found.dirFd, found.cName) : openRegular(found.dirFd, nameOf(found));
  if (fd === undefined) return; // swapped since it was listed
  const { chunk } = state;
  try {
    const size = state.settled ? found.stat.size : fstatSync(fd).size;
    if (!chunk.hasRoom(blockSize)) yield chunk.take();
    if (!hasXattrs(fd) && writePlainHeader(chunk.buffer, chunk.used, plainEntry(found, size))) chunk.used += blockSize;
    else yield* chunk.put(encodeHeader({ ...describe(found, "file"), size }));
    if (state.count !== undefined) state.count.fileBytes += size;
    for (let left = size; left > 0;) {
      if (!chunk.hasRoom(Math.min(left, minimumRead))) yield chunk.take();
      const count = readSync(fd, chunk.buffer, chunk.used, Math.min(left, chunkBytes - chunk.used), null);
      if (count === 0) {
        throw new TscomposeError("image/invalid", `${shownPath(found)} became shorter while it was packed`);
      }
      chunk.used += count;
      left -= count;
    }
    const rest = (blockSize - (size % blockSize)) % blockSize;
    if (!chunk.hasRoom(rest)) yield chunk.take();
    chunk.buffer.fill(0, chunk.used, chunk.used + rest);
    chunk.used += rest;
  } finally {
    closeSync(fd);
  }
}

/** Less is not worth a call. */
const minimumRead = 64 * 1024;

const shownPath = ({ path }: Found): string => bytesOf(path).toString();

const plainEntry = ({ path, stat: { mode, uid, gid, seconds } }: Found, size: number): PlainEntry => ({
  type: "file",
  name: path,
  mode: mode & 0o7777,
  uid,
  gid,
  size,
  seconds,
});

function describe(found: Found, type: TarType): TarEntry {
  const { dirFd, path, stat } = found;
  const { mode, uid, gid, seconds, major, minor } = stat;
  return {
    type,
    name: bytesOf(path),
    linkName: noBytes,
    mode: mode & 0o7777,
    uid,
    gid,
    size: 0,
    mtime: { sec: seconds, nsec: 0 },
    device: type === "char" || type === "block" ? { major, minor } : { major: 0, minor: 0 },
    xattrs: type === "hardlink" ? emptyXattrs : readXattrs(dirFd, nameOf(found)),
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

function nodeType(type: number): TarType {
  if (type === constants.S_IFCHR) return "char";
  return type === constants.S_IFBLK ? "block" : "fifo";
}

const join = (path: string, name: string): string => (path === "" ? name : `${path}/${name}`);
const bytesOf = (text: string): Buffer => Buffer.from(text, "latin1");
