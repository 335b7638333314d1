/** Writes the entries of a layer below an open directory, in the form overlayfs wants of a lower directory. In: tar entries,
 *  hostile. Out: files; a whiteout becomes char 0:0, an opaque directory gets trusted.overlay.opaque. Nothing outside the root can
 *  be read, written, linked, chmodded or removed: parents are resolved by the kernel below the root descriptor, the last
 *  component is never followed. The last entry of a name wins. No fsync: the layer store makes a whole layer durable.
 *  Sources: OCI image-spec layer.md; kernel overlayfs.rst; security.md I-10 to I-19. */
import { closeSync, constants, fchmodSync, fchownSync, writeSync } from "node:fs";
import { errorMessage, TscomposeError } from "../../../errors.ts";
import { openDirectoryAt, statAt } from "../../../host/directory.ts";
import * as libc from "../../../host/libc.ts";
import type { TarEntry, TarTime } from "../tar/entry.ts";
import type { TarHandler } from "../tar/reader.ts";
import { DirectoryCache, joinParts } from "./directory-cache.ts";
import { entryComponents } from "./entry-path.ts";
import type { LayerLimits } from "./limits.ts";
import { removeTree } from "./remove-tree.ts";
import { TimeLog } from "./time-log.ts";
import { parseWhiteout } from "./whiteout.ts";
import { applyXattrs, applyXattrsAt, opaqueXattr, opaqueValue } from "./xattrs.ts";

export interface UnpackResult {
  /** Bytes of regular files. */
  readonly sizeBytes: number;
  readonly entries: number;
  /** Directories made without an entry of their own (latin1): their metadata is that of the layers below. */
  readonly impliedDirs: readonly string[];
}

interface Place {
  readonly parent: number;
  readonly name: Buffer;
}
const newFile = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
const typeBits = { char: constants.S_IFCHR, block: constants.S_IFBLK, fifo: constants.S_IFIFO } as const;
const maxImplied = 10_000;

export class Unpacker implements TarHandler {
  readonly #rootFd: number;
  readonly #limits: LayerLimits;
  readonly #whiteouts: "apply" | "plain";
  readonly #directories: DirectoryCache;
  readonly #times = new TimeLog();
  readonly #implied = new Set<string>();
  #entries = 0;
  #sizeBytes = 0;
  #file: { readonly fd: number; readonly entry: TarEntry } | undefined;

  /** `rootFd`: an open directory, which stays the caller's. `plain`: the archive is no layer, `.wh.x` is a name like any other. */
  constructor(rootFd: number, limits: LayerLimits, whiteouts: "apply" | "plain" = "apply") {
    this.#rootFd = rootFd;
    this.#limits = limits;
    this.#whiteouts = whiteouts;
    this.#directories = new DirectoryCache(rootFd, (path) => {
      if (this.#implied.size < maxImplied) this.#implied.add(path.toString("latin1"));
    });
  }

  /** @throws image/invalid naming the entry; host/no-space */
  entry(entry: TarEntry): void {
    this.#entries++;
    if (this.#entries > this.#limits.maxEntries) {
      throw new TscomposeError("image/invalid", `layer has more than ${this.#limits.maxEntries} entries`);
    }
    try {
      this.#directories.settle();
      this.#place(entry);
    } catch (error) {
      throw entryError(error, entry);
    }
  }

  data(chunk: Buffer): void {
    const file = this.#file;
    if (file === undefined) return;
    try {
      for (let done = 0; done < chunk.length;) done += writeSync(file.fd, chunk, done);
    } catch (error) {
      throw entryError(error, file.entry);
    }
    this.#sizeBytes += chunk.length;
  }

  end(): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    try {
      const { entry, fd } = file;
      fchownSync(fd, entry.uid, entry.gid);
      fchmodSync(fd, entry.mode);
      applyXattrs(fd, entry.xattrs);
      libc.futimens(fd, toTimespec(entry.mtime));
    } catch (error) {
      throw entryError(error, file.entry);
    } finally {
      closeSync(file.fd);
    }
  }

  /** Times of directories come last: everything written below changes them. */
  finish(): UnpackResult {
    this.#directories.clear();
    this.#times.apply(this.#rootFd);
    return { sizeBytes: this.#sizeBytes, entries: this.#entries, impliedDirs: [...this.#implied] };
  }

  /** Closes what is open. Idempotent. */
  close(): void {
    if (this.#file !== undefined) closeSync(this.#file.fd);
    this.#file = undefined;
    this.#directories.clear();
  }

  #place(entry: TarEntry): void {
    const parts = entryComponents(entry.name);
    const name = parts.at(-1);
    if (name === undefined) {
      if (entry.type === "dir") this.#describeDirectory(this.#rootFd, parts, entry);
      return;
    }
    const whiteout = this.#whiteouts === "apply" ? parseWhiteout(name) : undefined;
    if (whiteout?.kind === "ignore") return;
    if (whiteout?.kind === "invalid") throw new TscomposeError("image/invalid", "is a whiteout of nothing");
    const parent = this.#directories.open(parts.slice(0, -1));
    if (whiteout === undefined) this.#create({ parent, name }, parts, entry);
    else if (whiteout.kind === "opaque") libc.fsetxattr(parent, opaqueXattr, opaqueValue);
    else this.#hide({ parent, name: whiteout.name });
  }

  /** A whiteout speaks of the lower layers only: what this layer itself has at the name stays, and a directory becomes opaque. */
  #hide({ parent, name }: Place): void {
    try {
      libc.mknodat(parent, name, constants.S_IFCHR, 0n);
    } catch (error) {
      if (libc.syscallErrno(error) !== "EEXIST") throw error;
      const fd = openDirectoryAt(parent, name);
      if (fd === undefined) return;
      try {
        libc.fsetxattr(fd, opaqueXattr, opaqueValue);
      } finally {
        closeSync(fd);
      }
    }
  }

  #create(place: Place, parts: readonly Buffer[], entry: TarEntry): void {
    const { parent, name } = place;
    switch (entry.type) {
      case "file":
        this.#file = {
          fd: this.#replacing(place, () => libc.openat(parent, name, newFile | libc.O_NOFOLLOW, 0o600)),
          entry,
        };
        return;
      case "dir":
        this.#createDirectory(place, parts, entry);
        return;
      case "symlink":
        this.#replacing(place, () => libc.symlinkat(entry.linkName, parent, name));
        this.#describe(place, entry);
        return;
      case "hardlink":
        this.#createHardLink(place, entry);
        return;
      case "char":
      case "block":
      case "fifo":
        this.#createNode(place, entry, typeBits[entry.type]);
        return;
    }
  }

  #createNode(place: Place, entry: TarEntry, type: number): void {
    const { major, minor } = entry.device;
    if (entry.type === "char" && major === 0 && minor === 0) {
      throw new TscomposeError("image/invalid", "is a device 0:0, which overlayfs takes for a deletion");
    }
    const device = entry.type === "fifo" ? 0n : libc.makedev(major, minor);
    this.#replacing(place, () => libc.mknodat(place.parent, place.name, type | 0o600, device));
    this.#describe(place, entry);
    libc.fchmodat(place.parent, place.name, entry.mode);
  }

  #createHardLink(place: Place, entry: TarEntry): void {
    const parts = entryComponents(entry.linkName);
    const name = parts.at(-1);
    if (name === undefined) throw new TscomposeError("image/invalid", "is a hard link to the root");
    const from = this.#directories.open(parts.slice(0, -1));
    const target = statAt(from, name);
    if (target === undefined) throw new TscomposeError("image/invalid", "is a hard link to a file that is not there");
    if (target.isDirectory()) throw new TscomposeError("image/invalid", "is a hard link to a directory");
    const existing = statAt(place.parent, place.name);
    if (existing?.ino === target.ino && existing.dev === target.dev) return;
    this.#replacing(place, () =>
      libc.linkat({ dirFd: from, path: name }, { dirFd: place.parent, path: place.name }, 0),
    );
  }

  /** A directory that is there already stays, with what is in it. One that takes the place of a whiteout is opaque. */
  #createDirectory({ parent, name }: Place, parts: readonly Buffer[], entry: TarEntry): void {
    let opaque = false;
    try {
      libc.mkdirat(parent, name, 0o700);
    } catch (error) {
      if (libc.syscallErrno(error) !== "EEXIST") throw error;
      const existing = statAt(parent, name);
      if (existing?.isDirectory() !== true) {
        opaque = existing?.isCharacterDevice() === true && existing.rdev === 0n;
        this.#remove({ parent, name });
        libc.mkdirat(parent, name, 0o700);
      }
    }
    const fd = libc.openat(parent, name, constants.O_RDONLY | libc.O_DIRECTORY | libc.O_NOFOLLOW);
    try {
      if (opaque) libc.fsetxattr(fd, opaqueXattr, opaqueValue);
      this.#describeDirectory(fd, parts, entry);
    } finally {
      closeSync(fd);
    }
  }

  #describeDirectory(fd: number, parts: readonly Buffer[], entry: TarEntry): void {
    fchownSync(fd, entry.uid, entry.gid);
    fchmodSync(fd, entry.mode);
    applyXattrs(fd, entry.xattrs);
    const path = joinParts(parts);
    if (this.#implied.size > 0) this.#implied.delete(path.toString("latin1"));
    this.#times.add(path, entry.mtime);
  }

  #describe({ parent, name }: Place, entry: TarEntry): void {
    libc.fchownat(parent, name, { uid: entry.uid, gid: entry.gid });
    applyXattrsAt(parent, name, entry.xattrs);
    libc.utimensat(parent, name, toTimespec(entry.mtime));
  }

  #replacing<T>(place: Place, create: () => T): T {
    try {
      return create();
    } catch (error) {
      if (libc.syscallErrno(error) !== "EEXIST") throw error;
      this.#remove(place);
      return create();
    }
  }

  #remove({ parent, name }: Place): void {
    const existing = statAt(parent, name);
    if (existing?.isDirectory() === true || existing?.isSymbolicLink() === true) this.#directories.distrust();
    removeTree(parent, name);
  }
}

function toTimespec({ sec, nsec }: TarTime): { readonly sec: bigint; readonly nsec: number } {
  return { sec: BigInt(sec), nsec };
}

function entryError(error: unknown, entry: TarEntry): TscomposeError {
  const shown = JSON.stringify(entry.name.toString("utf8", 0, 200));
  if (error instanceof TscomposeError && error.code === "image/invalid" && error.message.startsWith("layer entry")) {
    return error;
  }
  const errno = libc.syscallErrno(error) ?? (error as NodeJS.ErrnoException).code;
  const full = errno === "ENOSPC" || errno === "EDQUOT";
  return new TscomposeError(full ? "host/no-space" : "image/invalid", `layer entry ${shown}: ${errorMessage(error)}`, {
    cause: error,
    ...(full ? { hint: "free disk space or inodes under the data root" } : {}),
  });
}
