/** Directories by descriptor. A name is one component of bytes below an open directory, so no step can be led astray by a symlink
 *  that somebody swaps in meanwhile. Node's own calls take part through `/proc/self/fd/<n>/<name>`.
 *  Source: openat(2), proc(5) on /proc/self/fd. */
import { closeSync, lstatSync, readdirSync, type BigIntStats } from "node:fs";
import { TscomposeError } from "../errors.ts";
import { O_DIRECTORY, O_NOFOLLOW, openat, syscallErrno } from "./libc.ts";

/** A path for Node's `fs` to `name` in the directory `fd`; the last component is not followed by `lstat`, `readlink`, `rmdir`. */
export function pathAt(fd: number, name: Buffer | string): Buffer {
  const bytes = typeof name === "string" ? Buffer.from(name) : name;
  const special = bytes.length === 0 || bytes.equals(dot) || bytes.equals(dotDot);
  if (special || bytes.includes(0x2f) || bytes.includes(0)) {
    throw new TscomposeError("request/invalid", `not a single path component: ${JSON.stringify(bytes.toString())}`);
  }
  return Buffer.concat([Buffer.from(`/proc/self/fd/${fd}/`), bytes]);
}

const dot = Buffer.from(".");
const dotDot = Buffer.from("..");

/** Names in the directory, unsorted, without "." and "..". */
export function listAt(fd: number): Buffer[] {
  return readdirSync(`/proc/self/fd/${fd}`, { encoding: "buffer" });
}

/** Of the entry itself, also when it is a symlink; undefined when there is none. */
export function statAt(fd: number, name: Buffer | string): BigIntStats | undefined {
  return lstatSync(pathAt(fd, name), { bigint: true, throwIfNoEntry: false });
}

/** Opens a directory that is really one; undefined when the name is gone or something else by now. */
export function openDirectoryAt(fd: number, name: Buffer | string): number | undefined {
  try {
    return openat(fd, name, O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    const errno = syscallErrno(error);
    if (errno === "ENOENT" || errno === "ENOTDIR" || errno === "ELOOP") return undefined;
    throw error;
  }
}

/** Closes `fd` after `use`, whatever happens. */
export async function usingFd<T>(fd: number, use: (fd: number) => T | Promise<T>): Promise<T> {
  try {
    return await use(fd);
  } finally {
    closeSync(fd);
  }
}
