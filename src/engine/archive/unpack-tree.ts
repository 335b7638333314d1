/** A tar stream -> files inside a container. Each entry's directory is looked up by the kernel within the container's root, each
 *  file is made by one name in an open directory: nothing that the archive or the running container puts in the way leads out.
 *  Source: engine-api.md 3.6; security.md 3.4, 3.5. */
import { closeSync, constants, fchmodSync, fstatSync, writeSync, type BigIntStats } from "node:fs";
import { posix } from "node:path";
import { TscomposeError } from "../../errors.ts";
import { listAt, openDirectoryAt, statAt } from "../../host/directory.ts";
import { creatingAs, ownerOutside, type IdMap, type Owner } from "../../host/id-map.ts";
import * as libc from "../../host/libc.ts";
import type { TarEntry } from "../images/tar/entry.ts";
import { TarReader, type TarHandler } from "../images/tar/reader.ts";
import { isMissing } from "./in-root.ts";

export interface UnpackOptions {
  /** Directory in the container, existing. */
  readonly path: string;
  /** Refuse to put a file in the place of a directory, and the other way round. */
  readonly noOverwriteDirNonDir: boolean;
  /** Everything belongs to this user instead of the archive's. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  /** That the files are shown with; owners are those inside. */
  readonly map?: IdMap | undefined;
}

/** `root`: an open directory, the container's "/". @throws image/invalid for a broken archive, request/invalid */
export async function unpackTree(root: number, tar: AsyncIterable<Buffer>, options: UnpackOptions): Promise<void> {
  const unpacker = new Unpacker(root, options);
  const reader = new TarReader(unpacker);
  try {
    for await (const chunk of tar) reader.write(chunk);
    reader.finish();
    unpacker.finish();
  } finally {
    unpacker.close();
  }
}

/** Directories whose times are set at the end; more than this keep the time of their last change. */
const maxDatedDirectories = 100_000;
const AT_SYMLINK_FOLLOW = 0x400;
/** The link itself counts, where it is one. */
const asItIs = { flags: libc.O_PATH | libc.O_NOFOLLOW, resolve: libc.RESOLVE_IN_ROOT | libc.RESOLVE_NO_MAGICLINKS };

class Unpacker implements TarHandler {
  readonly #root: number;
  readonly #options: UnpackOptions;
  /** Whoever makes a file must be somebody there. */
  readonly #maker: Owner | undefined;
  readonly #dated: { readonly path: string; readonly entry: TarEntry }[] = [];
  /** The last directory used: archives list neighbours one after the other. */
  #parent: { readonly path: string; readonly fd: number } | undefined;
  #file: { readonly fd: number; readonly entry: TarEntry } | undefined;

  constructor(root: number, options: UnpackOptions) {
    this.#root = root;
    this.#options = options;
    this.#maker = options.map === undefined ? undefined : ownerOutside(options.map, { uid: 0, gid: 0 });
  }

  entry(entry: TarEntry): void {
    creatingAs(this.#maker, () => this.#entry(entry));
  }

  #entry(entry: TarEntry): void {
    const path = this.#place(entry.name);
    if (path === undefined) return;
    const name = bytes(posix.basename(path));
    const dir = this.#directory(posix.dirname(path));
    const existing = statAt(dir, name);
    if (existing !== undefined) this.#makeRoom(dir, name, { existing, entry, path });
    switch (entry.type) {
      case "dir":
        if (existing?.isDirectory() !== true) libc.mkdirat(dir, name, 0o700);
        this.#finishDirectory(dir, name, entry);
        if (this.#dated.length < maxDatedDirectories) this.#dated.push({ path, entry });
        return;
      case "file":
        this.#file = {
          fd: libc.openat(
            dir,
            name,
            constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | libc.O_NOFOLLOW,
            0o600,
          ),
          entry,
        };
        return;
      case "symlink":
        libc.symlinkat(entry.linkName, dir, name);
        libc.fchownat(dir, name, this.#owner(entry));
        libc.utimensat(dir, name, timeOf(entry));
        return;
      case "hardlink":
        this.#link(entry, { dirFd: dir, path: name });
        return;
      case "char":
      case "block":
      case "fifo":
        this.#node(dir, name, entry);
    }
  }

  data(chunk: Buffer): void {
    if (this.#file === undefined) return;
    for (let done = 0; done < chunk.length;) done += writeSync(this.#file.fd, chunk, done);
  }

  end(): void {
    if (this.#file === undefined) return;
    const { fd, entry } = this.#file;
    this.#file = undefined;
    try {
      libc.fchownat(fd, "", this.#owner(entry));
      fchmodSync(fd, entry.mode);
      setXattrs(fd, entry);
      libc.futimens(fd, timeOf(entry));
    } finally {
      closeSync(fd);
    }
  }

  finish(): void {
    for (const { path, entry } of this.#dated.toReversed()) {
      try {
        const fd = openDirectoryBytes(this.#root, path);
        libc.futimens(fd, timeOf(entry));
        closeSync(fd);
      } catch (error) {
        if (!isMissing(error)) throw error; // the container has taken it away meanwhile
      }
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file.fd);
    if (this.#parent !== undefined) closeSync(this.#parent.fd);
    this.#file = undefined;
    this.#parent = undefined;
  }

  /** Path in the container; undefined for the extraction point itself. `..` cannot lead above it, nor a leading slash around it. */
  #place(name: Buffer): string | undefined {
    if (name.includes(0)) throw new TscomposeError("request/invalid", "a name in the archive holds a NUL byte");
    const inside = posix.normalize(`/${name.toString("latin1")}`).replace(/\/+$/, "");
    if (inside === "") return undefined;
    return posix.join(this.#base, inside);
  }

  /** Paths are handled as latin1 text, one character a byte. */
  get #base(): string {
    return Buffer.from(this.#options.path).toString("latin1");
  }

  #directory(path: string): number {
    if (this.#parent?.path === path) return this.#parent.fd;
    const fd = this.#openOrMake(path);
    if (this.#parent !== undefined) closeSync(this.#parent.fd);
    this.#parent = { path, fd };
    return fd;
  }

  #openOrMake(path: string): number {
    try {
      return openDirectoryBytes(this.#root, path);
    } catch (error) {
      if (libc.syscallErrno(error) !== "ENOENT" || path === "/") throw error;
    }
    const above = this.#openOrMake(posix.dirname(path));
    try {
      libc.mkdirat(above, bytes(posix.basename(path)), 0o755);
    } catch (error) {
      if (libc.syscallErrno(error) !== "EEXIST") throw error;
    } finally {
      closeSync(above);
    }
    return openDirectoryBytes(this.#root, path);
  }

  #makeRoom(
    dir: number,
    name: Buffer,
    { existing, entry, path }: { readonly existing: BigIntStats; readonly entry: TarEntry; readonly path: string },
  ): void {
    const [wasDir, becomesDir] = [existing.isDirectory(), entry.type === "dir"];
    if (wasDir && becomesDir) return;
    if (this.#options.noOverwriteDirNonDir && wasDir !== becomesDir) {
      const [old, now] = wasDir ? ["directory", "non-directory"] : ["non-directory", "directory"];
      throw new TscomposeError(
        "request/invalid",
        `cannot overwrite ${old} ${JSON.stringify(path)} with ${now} ${JSON.stringify(this.#options.path)}`,
      );
    }
    removeAt(dir, name, 0);
  }

  #link(entry: TarEntry, to: libc.PathAt): void {
    const target = this.#place(entry.linkName);
    if (target === undefined)
      throw new TscomposeError("request/invalid", "a hard link in the archive points to nothing");
    const fd = libc.openat2(this.#root, bytes(target.replace(/^\/+/, "")), asItIs);
    try {
      const from = { dirFd: libc.AT_FDCWD, path: `/proc/self/fd/${fd}` };
      libc.linkat(from, to, AT_SYMLINK_FOLLOW);
    } finally {
      closeSync(fd);
    }
  }

  #node(dir: number, name: Buffer, entry: TarEntry): void {
    const type = { char: 0o020000, block: 0o060000, fifo: 0o010000 }[entry.type as "char" | "block" | "fifo"];
    const mask = libc.umask(0);
    try {
      const device = entry.type === "fifo" ? 0n : libc.makedev(entry.device.major, entry.device.minor);
      libc.mknodat(dir, name, type | entry.mode, device);
    } finally {
      libc.umask(mask);
    }
    libc.fchownat(dir, name, this.#owner(entry));
    libc.utimensat(dir, name, timeOf(entry));
  }

  #finishDirectory(dir: number, name: Buffer, entry: TarEntry): void {
    const fd = openDirectoryAt(dir, name);
    if (fd === undefined) return; // the container has swapped it
    try {
      libc.fchownat(fd, "", this.#owner(entry));
      fchmodSync(fd, entry.mode);
      setXattrs(fd, entry);
    } finally {
      closeSync(fd);
    }
  }

  #owner(entry: TarEntry): { readonly uid: number; readonly gid: number } {
    return ownerOutside(this.#options.map, this.#options.owner ?? { uid: entry.uid, gid: entry.gid });
  }
}

const bytes = (text: string): Buffer => Buffer.from(text, "latin1");

function openDirectoryBytes(root: number, path: string): number {
  const how = { flags: libc.O_DIRECTORY, resolve: libc.RESOLVE_IN_ROOT | libc.RESOLVE_NO_MAGICLINKS };
  return libc.openat2(root, bytes(path.replace(/^\/+/, "") || "."), how);
}

function timeOf({ mtime }: TarEntry): { readonly sec: bigint; readonly nsec: number } {
  return { sec: BigInt(mtime.sec), nsec: mtime.nsec };
}

/** Only what belongs to the content: a client must not set the marks that overlayfs reads. */
function setXattrs(fd: number, entry: TarEntry): void {
  for (const [name, value] of entry.xattrs) {
    if (name === "security.capability" || name.startsWith("user.")) libc.fsetxattr(fd, name, value);
  }
}

const maxDepth = 512;

function removeAt(dir: number, name: Buffer, depth: number): void {
  if (depth > maxDepth) throw new TscomposeError("request/invalid", "a directory is nested too deeply to be replaced");
  const fd = openDirectoryAt(dir, name);
  if (fd === undefined) {
    libc.unlinkat(dir, name);
    return;
  }
  try {
    if (fstatSync(fd).isDirectory()) for (const child of listAt(fd)) removeAt(fd, child, depth + 1);
  } finally {
    closeSync(fd);
  }
  libc.unlinkat(dir, name, libc.AT_REMOVEDIR);
}
