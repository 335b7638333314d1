/** Takes away what is at a name below an open directory, never following a symlink. */
import { closeSync } from "node:fs";
import { listAt, openDirectoryAt } from "../../../host/directory.ts";
import * as libc from "../../../host/libc.ts";

/** @returns true when it was a directory or symlink */
export function removeTree(dirFd: number, name: Buffer): boolean {
  try {
    libc.unlinkat(dirFd, name);
    return true;
  } catch (error) {
    const errno = libc.syscallErrno(error);
    if (errno === "ENOENT") return false;
    if (errno !== "EISDIR" && errno !== "EPERM") throw error;
  }
  const fd = openDirectoryAt(dirFd, name);
  if (fd === undefined) return removeTree(dirFd, name);
  try {
    for (const child of listAt(fd)) removeTree(fd, child);
  } finally {
    closeSync(fd);
  }
  libc.unlinkat(dirFd, name, libc.AT_REMOVEDIR);
  return true;
}
