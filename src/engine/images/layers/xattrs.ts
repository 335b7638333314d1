/** Extended attributes of layers. Kept: file capabilities, ACLs, `user.*`. Dropped: everything that means something to the host
 *  rather than to the container, above all `trusted.overlay.*`, with which a layer could point into other directories
 *  (security.md I-16, I-17). */
import { pathAt } from "../../../host/directory.ts";
import * as libc from "../../../host/libc.ts";

export const opaqueXattr = "trusted.overlay.opaque";
export const opaqueValue: Buffer = Buffer.from("y");

const kept = new Set(["security.capability", "system.posix_acl_access", "system.posix_acl_default"]);

/** Whether an attribute is part of a layer's content. */
export function isLayerXattr(name: string): boolean {
  return kept.has(name) || (name.startsWith("user.") && !name.startsWith("user.overlay."));
}

export function applyXattrs(fd: number, xattrs: ReadonlyMap<string, Buffer>): void {
  for (const [name, value] of xattrs) {
    if (isLayerXattr(name)) tolerant(() => libc.fsetxattr(fd, name, value));
  }
}

/** Of the entry itself, never of what a symlink points to. */
export function applyXattrsAt(dirFd: number, name: Buffer, xattrs: ReadonlyMap<string, Buffer>): void {
  for (const [key, value] of xattrs) {
    if (isLayerXattr(key)) tolerant(() => libc.lsetxattr(pathAt(dirFd, name), key, value));
  }
}

/** A file system without such attributes, or `user.*` on a node that cannot carry it: as Docker, go on without. */
function tolerant(set: () => void): void {
  try {
    set();
  } catch (error) {
    const errno = libc.syscallErrno(error);
    if (errno !== "EOPNOTSUPP" && errno !== "ENOTSUP" && errno !== "EPERM") throw error;
  }
}
