/** Paths of a client, looked up inside a container's root by the kernel: `..` and absolute symlinks stay within it, however the
 *  container changes them meanwhile. Source: openat2(2) RESOLVE_IN_ROOT; security.md 3.5. */
import { closeSync, fstatSync, readlinkSync, type BigIntStats } from "node:fs";
import { posix } from "node:path";
import { TscomposeError } from "../../errors.ts";
import { pathAt, statAt } from "../../host/directory.ts";
import * as libc from "../../host/libc.ts";

const within = libc.RESOLVE_IN_ROOT | libc.RESOLVE_NO_MAGICLINKS;

/** Errors of a lookup that mean "there is no such thing". */
export function isMissing(error: unknown): boolean {
  return ["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG"].includes(libc.syscallErrno(error) ?? "");
}

/** Absolute, without `.`, `..` and trailing slashes; "/" for the root. */
export function cleanPath(path: string): string {
  return posix.normalize(`/${path}`).replace(/(.)\/+$/, "$1");
}

/** True for `dir/` and `dir/.`: the thing itself is meant, not a symlink to it. */
export function wantsDirectory(path: string): boolean {
  return /(?:^|\/)\.?$/.test(path);
}

/** A directory that can be listed. @throws host/syscall-failed */
export function openDirectory(root: number, path: string): number {
  return libc.openat2(root, relative(path), { flags: libc.O_DIRECTORY, resolve: within });
}

/** Whatever it is, without opening it; symlinks are followed. @throws host/syscall-failed */
export function openPath(root: number, path: string): number {
  return libc.openat2(root, relative(path), { flags: libc.O_PATH, resolve: within });
}

const relative = (path: string): string => path.replace(/^\/+/, "") || ".";

/** A name in an open directory. */
export interface Place {
  readonly dir: number;
  /** Undefined: the directory itself, which is the root. */
  readonly name: Buffer | undefined;
  readonly stat: BigIntStats;
}

/** Finds `path` without following a symlink at its end, unless it `wantsDirectory`. The caller closes `dir`.
 *  @throws host/syscall-failed (ENOENT, ...) */
export function openPlace(root: number, path: string): Place {
  const clean = cleanPath(path);
  if (clean === "/" || wantsDirectory(path)) {
    const dir = openDirectory(root, clean);
    return { dir, name: undefined, stat: fstatSync(dir, { bigint: true }) };
  }
  const dir = openDirectory(root, posix.dirname(clean));
  const name = Buffer.from(posix.basename(clean));
  const stat = statAt(dir, name);
  if (stat !== undefined) return { dir, name, stat };
  closeSync(dir);
  throw new TscomposeError("host/syscall-failed", `lstat ${path}: ENOENT`, {
    details: { syscall: "lstat", errno: "ENOENT" },
  });
}

/** Where a symlink leads, as the container sees it; a target that does not exist is given as it is written. */
export function linkTarget(root: number, path: string, place: Place): string {
  const rootPath = readlinkSync(`/proc/self/fd/${root}`);
  try {
    const fd = openPath(root, cleanPath(path));
    const real = readlinkSync(`/proc/self/fd/${fd}`);
    closeSync(fd);
    return posix.join("/", rootPath === "/" ? real : real.slice(rootPath.length));
  } catch (error) {
    if (!isMissing(error) || place.name === undefined) throw error;
    const target = readlinkSync(pathAt(place.dir, place.name), "utf8");
    return posix.resolve(posix.dirname(cleanPath(path)), target);
  }
}
