/** Modification times of directories, kept until the layer is written. One growing buffer, so that millions of directories do
 *  not become millions of objects. */
import { closeSync, constants } from "node:fs";
import * as libc from "../../../host/libc.ts";
import type { TarTime } from "../tar/entry.ts";

const headerBytes = 16;

export class TimeLog {
  #buffer = Buffer.alloc(4096);
  #used = 0;

  /** `path`: below the root, empty for the root itself. A later time of the same path wins. */
  add(path: Buffer, time: TarTime): void {
    const needed = this.#used + headerBytes + path.length;
    if (needed > this.#buffer.length) {
      this.#buffer = Buffer.concat([this.#buffer.subarray(0, this.#used)], Math.max(needed, this.#buffer.length * 2));
    }
    this.#buffer.writeBigInt64LE(BigInt(time.sec), this.#used);
    this.#buffer.writeUInt32LE(time.nsec, this.#used + 8);
    this.#buffer.writeUInt32LE(path.length, this.#used + 12);
    path.copy(this.#buffer, this.#used + headerBytes);
    this.#used = needed;
  }

  /** A path that is no directory any more is passed over. */
  apply(rootFd: number): void {
    const resolve = libc.RESOLVE_BENEATH | libc.RESOLVE_NO_SYMLINKS;
    const flags = constants.O_RDONLY | libc.O_DIRECTORY | libc.O_NOFOLLOW;
    for (let at = 0; at < this.#used;) {
      const time = { sec: this.#buffer.readBigInt64LE(at), nsec: this.#buffer.readUInt32LE(at + 8) };
      const length = this.#buffer.readUInt32LE(at + 12);
      const path = this.#buffer.subarray(at + headerBytes, at + headerBytes + length);
      at += headerBytes + length;
      if (length === 0) libc.futimens(rootFd, time);
      else setTime(rootFd, path, time, { flags, resolve });
    }
  }
}

function setTime(
  rootFd: number,
  path: Buffer,
  time: { readonly sec: bigint; readonly nsec: number },
  how: { readonly flags: number; readonly resolve: number },
): void {
  let fd: number;
  try {
    fd = libc.openat2(rootFd, path, how);
  } catch (error) {
    const errno = libc.syscallErrno(error);
    if (errno === "ENOENT" || errno === "ENOTDIR" || errno === "ELOOP") return;
    throw error;
  }
  try {
    libc.futimens(fd, time);
  } finally {
    closeSync(fd);
  }
}
