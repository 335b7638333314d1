/** Regular files of a directory that somebody else may change meanwhile. */
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { O_NOFOLLOW, O_PATH, openat, syscallErrno } from "./libc.ts";

/** Looks before it opens: to open a pipe blocks, to open a device does something, and a container may put either in a file's place.
 *  @returns a descriptor to read from; undefined: there is no regular file of that name (any more)
 *  @throws host/syscall-failed */
export function openRegular(directory: number, name: Buffer): number | undefined {
  let found: number;
  try {
    found = openat(directory, name, O_PATH | O_NOFOLLOW);
  } catch (error) {
    if (syscallErrno(error) === "ENOENT") return undefined;
    throw error;
  }
  try {
    return fstatSync(found).isFile() ? openSync(`/proc/self/fd/${found}`, constants.O_RDONLY) : undefined;
  } finally {
    closeSync(found);
  }
}
