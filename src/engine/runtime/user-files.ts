/** Reads small text files of a container's root without trusting it: symlinks resolve within the root, only regular files are
 *  opened, and no more than a bound is read (security.md E-12). */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import * as libc from "../../host/libc.ts";

const maxBytes = 1024 * 1024;

/** passwd and group; a file that is missing, or is none, counts as empty. `irregular`: the absolute paths of those that are none. */
export function readUserFiles(rootfs: string): {
  readonly passwd: string;
  readonly group: string;
  readonly irregular: readonly string[];
} {
  const root = openSync(rootfs, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const [passwd, group] = [readInRoot(root, "etc/passwd"), readInRoot(root, "etc/group")];
    const irregular = [
      ...(passwd === undefined ? ["/etc/passwd"] : []),
      ...(group === undefined ? ["/etc/group"] : []),
    ];
    return { passwd: passwd ?? "", group: group ?? "", irregular };
  } finally {
    closeSync(root);
  }
}

/** Undefined: it is no regular file. */
function readInRoot(root: number, path: string): string | undefined {
  let fd: number;
  try {
    const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
    fd = libc.openat2(root, path, { flags, resolve: libc.RESOLVE_IN_ROOT | libc.RESOLVE_NO_MAGICLINKS });
  } catch (error) {
    if (libc.syscallErrno(error) !== undefined) return "";
    throw error;
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) return undefined;
    const buffer = Buffer.alloc(Math.min(stat.size, maxBytes));
    let length = 0;
    for (let count = 1; length < buffer.length && count > 0; length += count) {
      count = readSync(fd, buffer, length, buffer.length - length, length);
    }
    return buffer.subarray(0, length).toString("utf8");
  } finally {
    closeSync(fd);
  }
}

/** Makes a working directory that the image lacks, as root, component by component within the root.
 *  @throws the syscall's error when something that is no directory is in the way */
export function ensureDirectoryInRoot(rootfs: string, path: string): void {
  const root = openSync(rootfs, constants.O_RDONLY | constants.O_DIRECTORY);
  const how = { flags: libc.O_PATH | libc.O_DIRECTORY, resolve: libc.RESOLVE_IN_ROOT | libc.RESOLVE_NO_MAGICLINKS };
  let at = root;
  let done = ".";
  try {
    try {
      closeSync(libc.openat2(root, path.replace(/^\/+/, "") || ".", how));
      return;
    } catch (error) {
      if (libc.syscallErrno(error) !== "ENOENT") throw error;
    }
    for (const part of path.split("/").filter((name) => name !== "" && name !== ".")) {
      const next = openOrMake(root, { at, part, path: `${done}/${part}` }, how);
      if (at !== root) closeSync(at);
      at = next;
      done = `${done}/${part}`;
    }
  } finally {
    if (at !== root) closeSync(at);
    closeSync(root);
  }
}

function openOrMake(
  root: number,
  step: { readonly at: number; readonly part: string; readonly path: string },
  how: { readonly flags: number; readonly resolve: number },
): number {
  try {
    return libc.openat2(root, step.path, how);
  } catch (error) {
    if (libc.syscallErrno(error) !== "ENOENT" || step.part === "..") throw error;
  }
  libc.mkdirat(step.at, step.part, 0o755);
  return libc.openat2(root, step.path, how);
}
