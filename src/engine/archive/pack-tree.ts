/** A part of a container's files -> a tar stream. Walks by descriptors and never follows a symlink; what changes while it is read
 *  is sent as it was found, cut or padded to the size that was announced. */
import { closeSync, fstatSync, read, readlinkSync, type BigIntStats } from "node:fs";
import { posix } from "node:path";
import { promisify } from "node:util";
import { TscomposeError } from "../../errors.ts";
import { listAt, openDirectoryAt, pathAt, statAt } from "../../host/directory.ts";
import { ownerInside, type IdMap } from "../../host/id-map.ts";
import * as libc from "../../host/libc.ts";
import { openRegular } from "../../host/open-regular.ts";
import { emptyXattrs, type TarEntry, type TarType } from "../images/tar/entry.ts";
import { encodeHeader, endOfArchive, padding } from "../images/tar/writer.ts";
import type { Place } from "./in-root.ts";

export interface PackOptions {
  /** Name of the top entry in the archive: `etc`, `.`, `/`; empty: the top itself is left out, its content has no prefix. */
  readonly name: string;
  /** Path of the top in the container. */
  readonly path: string;
  /** Mount points to go into. Others (/proc, /sys, ...) come as empty directories. */
  readonly mounts: ReadonlySet<string>;
  /** That the files are shown with. */
  readonly map?: IdMap | undefined;
}

const blockBytes = 256 * 1024;
/** Each level holds a descriptor. */
const maxDepth = 512;

/** Takes `place.dir` over. */
export async function* packTree(place: Place, options: PackOptions): AsyncGenerator<Buffer, void, undefined> {
  const pack: Pack = { options, links: new Map() };
  const name = Buffer.from(options.name);
  try {
    if (place.name !== undefined)
      yield* packEntry(pack, { dir: place.dir, name: place.name, as: name, path: options.path, depth: 0 });
    else {
      if (name.length > 0)
        yield encodeHeader(entryOf(pack, place.stat, { name: directoryName(name), xattrs: emptyXattrs }));
      yield* packContent(pack, { dir: place.dir, as: name, path: options.path, depth: 0, device: place.stat.dev });
    }
    yield endOfArchive;
  } finally {
    closeSync(place.dir);
  }
}

interface Pack {
  readonly options: PackOptions;
  /** Inode -> name in the archive of its first occurrence. */
  readonly links: Map<string, Buffer>;
}
interface Item {
  readonly dir: number;
  readonly name: Buffer;
  /** Name in the archive. */
  readonly as: Buffer;
  readonly path: string;
  readonly depth: number;
}

async function* packContent(
  pack: Pack,
  level: {
    readonly dir: number;
    readonly as: Buffer;
    readonly path: string;
    readonly depth: number;
    readonly device: bigint;
  },
): AsyncGenerator<Buffer, void, undefined> {
  if (level.depth > maxDepth)
    throw new TscomposeError("request/invalid", `${level.path} is nested too deeply to be archived`);
  for (const name of listAt(level.dir).toSorted((a, b) => a.compare(b))) {
    const as = level.as.length === 0 ? name : Buffer.concat([directoryName(level.as), name]);
    yield* packEntry(pack, {
      dir: level.dir,
      name,
      as,
      path: posix.join(level.path, name.toString()),
      depth: level.depth,
      parentDevice: level.device,
    });
  }
}

async function* packEntry(
  pack: Pack,
  item: Item & { readonly parentDevice?: bigint },
): AsyncGenerator<Buffer, void, undefined> {
  const stat = statAt(item.dir, item.name);
  const type = stat === undefined ? undefined : typeOf(stat);
  if (stat === undefined || type === undefined) return; // gone, or a socket, for which tar has no word
  if (type === "dir") {
    yield encodeHeader(entryOf(pack, stat, { name: directoryName(item.as), xattrs: xattrsOf(item) }));
    const foreign = item.parentDevice !== undefined && stat.dev !== item.parentDevice;
    if (foreign && !pack.options.mounts.has(item.path)) return;
    const dir = openDirectoryAt(item.dir, item.name);
    if (dir === undefined) return;
    try {
      yield* packContent(pack, { dir, as: item.as, path: item.path, depth: item.depth + 1, device: stat.dev });
    } finally {
      closeSync(dir);
    }
    return;
  }
  const first = linkOf(pack, stat, item.as);
  if (first !== undefined) {
    yield encodeHeader({
      ...entryOf(pack, stat, { name: item.as, xattrs: emptyXattrs }),
      type: "hardlink",
      linkName: first,
      size: 0,
    });
  } else if (type === "file") yield* packFile(pack, item);
  else {
    const linkName =
      type === "symlink" ? readlinkSync(pathAt(item.dir, item.name), { encoding: "buffer" }) : Buffer.alloc(0);
    yield encodeHeader({ ...entryOf(pack, stat, { name: item.as, xattrs: xattrsOf(item) }), linkName });
  }
}

function linkOf(pack: Pack, stat: BigIntStats, name: Buffer): Buffer | undefined {
  if (stat.nlink < 2n) return undefined;
  const inode = `${stat.dev}:${stat.ino}`;
  const first = pack.links.get(inode);
  if (first === undefined) pack.links.set(inode, name);
  return first;
}

const readAt = promisify(read);

async function* packFile(pack: Pack, item: Item): AsyncGenerator<Buffer, void, undefined> {
  const fd = openRegular(item.dir, item.name);
  if (fd === undefined) return; // swapped since it was listed
  try {
    const stat = fstatSync(fd, { bigint: true });
    const size = Number(stat.size);
    yield encodeHeader(entryOf(pack, stat, { name: item.as, xattrs: xattrsOf(item) }));
    let sent = 0;
    while (sent < size) {
      const block = Buffer.allocUnsafe(Math.min(blockBytes, size - sent));
      const { bytesRead } = await readAt(fd, block, 0, block.length, sent);
      yield bytesRead === 0 ? block.fill(0) : block.subarray(0, bytesRead); // it has become shorter
      sent += bytesRead === 0 ? block.length : bytesRead;
    }
    if (size > 0) yield padding(size);
  } finally {
    closeSync(fd);
  }
}

const slash = Buffer.from("/");

function directoryName(name: Buffer): Buffer {
  return name.at(-1) === 0x2f ? name : Buffer.concat([name, slash]);
}

function typeOf(stat: BigIntStats): TarType | undefined {
  if (stat.isFile()) return "file";
  if (stat.isDirectory()) return "dir";
  if (stat.isSymbolicLink()) return "symlink";
  if (stat.isFIFO()) return "fifo";
  if (stat.isCharacterDevice()) return "char";
  return stat.isBlockDevice() ? "block" : undefined;
}

function entryOf({ options }: Pack, stat: BigIntStats, { name, xattrs }: Pick<TarEntry, "name" | "xattrs">): TarEntry {
  const type = typeOf(stat) ?? "file";
  const device = type === "char" || type === "block" ? splitDevice(stat.rdev) : { major: 0, minor: 0 };
  return {
    type,
    name,
    linkName: Buffer.alloc(0),
    mode: Number(stat.mode & 0o7777n),
    ...ownerInside(options.map, { uid: Number(stat.uid), gid: Number(stat.gid) }),
    size: type === "file" ? Number(stat.size) : 0,
    mtime: { sec: Number(stat.mtimeNs / 1_000_000_000n), nsec: Number(stat.mtimeNs % 1_000_000_000n) },
    device,
    xattrs,
  };
}

/** glibc's encoding of a device number. */
function splitDevice(device: bigint): { readonly major: number; readonly minor: number } {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n);
  return { major: Number(major), minor: Number(minor) };
}

function xattrsOf(item: Item): ReadonlyMap<string, Buffer> {
  const path = pathAt(item.dir, item.name);
  let value: Buffer | undefined;
  try {
    value = libc.lgetxattr(path, "security.capability");
  } catch {
    return emptyXattrs; // gone meanwhile
  }
  return value === undefined ? emptyXattrs : new Map([["security.capability", value]]);
}
