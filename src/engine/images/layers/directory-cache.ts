/** Open directories of a layer that is being written. The kernel resolves each path below the root descriptor (symlinks of
 *  the layer itself count, but cannot lead out of it); the descriptors of recent parents are kept, and all forgotten as soon as a
 *  directory or symlink is taken away: a cached answer could be wrong from then on (node-tar's CVE-2021-32803). */
import { closeSync, constants } from "node:fs";
import { TscomposeError } from "../../../errors.ts";
import * as libc from "../../../host/libc.ts";

const resolve = libc.RESOLVE_IN_ROOT | libc.RESOLVE_NO_MAGICLINKS | libc.RESOLVE_NO_XDEV;
const openFlags = constants.O_RDONLY | libc.O_DIRECTORY;
const capacity = 128;
const slash = Buffer.from("/");
const dot = Buffer.from(".");

export class DirectoryCache {
  readonly #rootFd: number;
  readonly #open = new Map<string, number>();
  readonly #onImplied: (path: Buffer) => void;
  #distrusted = false;

  /** @param onImplied hears of each directory that had to be made without an entry of its own */
  constructor(rootFd: number, onImplied: (path: Buffer) => void) {
    this.#rootFd = rootFd;
    this.#onImplied = onImplied;
  }

  /** The directory at `parts`, made with its parents where missing. The descriptor stays the cache's.
   *  @throws image/invalid when something else is in the way or the symlinks loop */
  open(parts: readonly Buffer[]): number {
    if (parts.length === 0) return this.#rootFd;
    const path = joinParts(parts);
    const key = path.toString("latin1");
    const known = this.#open.get(key);
    if (known !== undefined) {
      this.#open.delete(key);
      this.#open.set(key, known);
      return known;
    }
    const fd = this.#openOrMake(parts, path);
    if (this.#open.size >= capacity) this.#evictOldest();
    this.#open.set(key, fd);
    return fd;
  }

  /** Call when a directory or symlink is removed: what was handed out stays open until the next `settle`. */
  distrust(): void {
    this.#distrusted = true;
  }

  /** Call between entries. */
  settle(): void {
    if (this.#distrusted) this.clear();
  }

  clear(): void {
    for (const fd of this.#open.values()) closeSync(fd);
    this.#open.clear();
    this.#distrusted = false;
  }

  #openOrMake(parts: readonly Buffer[], path: Buffer): number {
    const fd = this.#tryOpen(path);
    if (fd !== undefined) return fd;
    const parent = this.open(parts.slice(0, -1));
    const name = parts.at(-1) ?? dot;
    libc.mkdirat(parent, name, 0o755);
    libc.fchmodat(parent, name, 0o755);
    this.#onImplied(path);
    return libc.openat(parent, name, openFlags | libc.O_NOFOLLOW);
  }

  #tryOpen(path: Buffer): number | undefined {
    try {
      return libc.openat2(this.#rootFd, path, { flags: openFlags, resolve });
    } catch (error) {
      const errno = libc.syscallErrno(error);
      if (errno === "ENOENT") return undefined;
      if (errno !== "ELOOP" && errno !== "ENOTDIR" && errno !== "EXDEV" && errno !== "ENAMETOOLONG") throw error;
      const shown = JSON.stringify(path.toString("utf8", 0, 200));
      throw new TscomposeError("image/invalid", `layer entry below ${shown}: not a directory (${errno})`, {
        cause: error,
      });
    }
  }

  #evictOldest(): void {
    for (const [key, fd] of this.#open) {
      closeSync(fd);
      this.#open.delete(key);
      return;
    }
  }
}

export function joinParts(parts: readonly Buffer[]): Buffer {
  const pieces: Buffer[] = [];
  parts.forEach((part, i) => pieces.push(...(i === 0 ? [part] : [slash, part])));
  return Buffer.concat(pieces);
}
