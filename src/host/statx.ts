/** What a directory has by a name, with few and small objects: for walks over many files. Source: statx(2), linux/stat.h. */
import { constants } from "node:fs";
import { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, koffi, libc, throwErrno } from "./libc.ts";
import { constants as osConstants } from "node:os";

export interface FileStat {
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Device and inode. */
  readonly identity: () => string;
  /** Of the modification, whole seconds since the epoch, towards zero. */
  readonly seconds: number;
  /** Changes with the file: device, inode, size, times of modification and change, mode. */
  readonly stamp: () => string;
  /** Of the last change, milliseconds since the epoch. */
  readonly changedMs: number;
  readonly major: number;
  readonly minor: number;
}

const statxFn = libc.func("int statx(int, const uint8_t *, int, unsigned int, _Out_ uint8_t *)");
/** STATX_BASIC_STATS. */
const basic = 0x7ff;
/** struct statx, read out before the next call. Little endian, as all machines are that this runs on. */
const words = new Uint32Array(64);
const bytes = Buffer.from(words.buffer);
const high = 0x1_0000_0000;
const word = (at: number): number => words[at / 4] ?? 0;

/** Of the entry itself, also when it is a symlink; undefined when there is none. `name`: one component, with a NUL at its end. */
export function statxAt(dirFd: number, name: Buffer): FileStat | undefined {
  if ((statxFn(dirFd, name, AT_SYMLINK_NOFOLLOW, basic, bytes) as number) >= 0) return readStat();
  if (koffi.errno() === osConstants.errno.ENOENT) return undefined;
  return throwErrno("statx", JSON.stringify(name.toString("utf8", 0, name.length - 1)));
}

/** Of an open file. */
export function statxOf(fd: number): FileStat {
  const result = statxFn(fd, noName, AT_EMPTY_PATH, basic, bytes) as number;
  return result < 0 ? throwErrno("statx", `fd ${fd}`) : readStat();
}

const noName = Buffer.alloc(1);

function readStat(): FileStat {
  const [major, minor, low, top] = [word(136), word(140), word(32), word(36)];
  const seconds = (word(116) | 0) * high + word(112);
  const size = word(44) * high + word(40);
  const mode = word(28) & 0xffff;
  const [modifiedNs, changed, changedNs] = [word(120), (word(100) | 0) * high + word(96), word(104)];
  return {
    mode,
    nlink: word(16),
    uid: word(20),
    gid: word(24),
    size,
    identity: () => `${major}:${minor}:${top}:${low}`,
    stamp: () => `${major}:${minor}:${top}:${low}:${size}:${seconds}.${modifiedNs}:${changed}.${changedNs}:${mode}`,
    changedMs: changed * 1000 + changedNs / 1e6,
    seconds: seconds < 0 && modifiedNs > 0 ? seconds + 1 : seconds,
    major: word(128),
    minor: word(132),
  };
}

export const typeOf = ({ mode }: Pick<FileStat, "mode">): number => mode & constants.S_IFMT;

const openatFn = libc.func("int openat(int, const uint8_t *, int, unsigned int)");
const openFlags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW | 0o2000000;

/** To read. `name` as in `statxAt`. @throws host/syscall-failed */
export function openToRead(dirFd: number, name: Buffer): number {
  const fd = openatFn(dirFd, name, openFlags, 0) as number;
  return fd < 0 ? throwErrno("openat", JSON.stringify(name.toString("utf8", 0, name.length - 1))) : fd;
}

const flistxattrFn = libc.func("long flistxattr(int, _Out_ uint8_t *, size_t)");
const oneByte = Buffer.alloc(1);
/** Whether the open file has extended attributes at all. */
export function hasXattrs(fd: number): boolean {
  return Number(flistxattrFn(fd, oneByte, 0)) > 0;
}
