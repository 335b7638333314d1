/** Raw libc calls through koffi: the one place where C signatures are written. Everything here is synchronous, sets
 *  close-on-exec on the descriptors it makes, and throws `host/syscall-failed` with `details.errno` (name) and
 *  `details.syscall`. Paths may be Buffers: names from archives and directories are bytes, not text.
 *  x86_64 and aarch64, glibc or musl. Sources: the man page of each call, section 2. */
import { createRequire } from "node:module";
import { constants as osConstants } from "node:os";
import type * as Koffi from "koffi";
import { TscomposeError } from "../errors.ts";

export const koffi = createRequire(import.meta.url)("koffi") as typeof Koffi;
export const libc = loadLibc();

function loadLibc(): Koffi.LibraryHandle {
  for (const name of ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`]) {
    try {
      return koffi.load(name);
    } catch {
      continue;
    }
  }
  throw new TscomposeError("host/unsupported", "no usable C library found (looked for glibc and musl)");
}

/** A path as bytes without a NUL inside, or as text. */
export type PathBytes = string | Buffer;

const errnoNames = new Map(Object.entries(osConstants.errno).map(([name, value]) => [value, name]));

/** NUL-terminated bytes; refuses an embedded NUL, which the kernel would take for the end. */
export function cString(path: PathBytes): Buffer {
  const bytes = typeof path === "string" ? Buffer.from(path) : path;
  if (bytes.includes(0)) throw new TscomposeError("request/invalid", "a path may not contain a NUL byte");
  return Buffer.concat([bytes, Buffer.of(0)]);
}

/** Throws for the errno of the call that has just failed. */
export function throwErrno(syscall: string, subject: string): never {
  const number = koffi.errno();
  const name = errnoNames.get(number) ?? `errno ${number}`;
  throw new TscomposeError("host/syscall-failed", `${syscall} ${subject}: ${name}`, {
    details: { syscall, errno: name, subject },
  });
}

/** The errno name of a failed call made through this module, else undefined. */
export function syscallErrno(error: unknown): string | undefined {
  if (!(error instanceof TscomposeError) || error.code !== "host/syscall-failed") return undefined;
  return typeof error.details["errno"] === "string" ? error.details["errno"] : undefined;
}

export function check(result: number, syscall: string, subject: string): number {
  return result < 0 ? throwErrno(syscall, subject) : result;
}

const show = (path: PathBytes): string => JSON.stringify(path.toString());

// -- mounts ------------------------------------------------------------------------------------------------------------

export const MS_RDONLY = 0x1;
export const MS_REMOUNT = 0x20;
export const MS_BIND = 0x1000;
export const MS_REC = 0x4000;
export const MNT_DETACH = 0x2;

const mountFn = libc.func(
  "int mount(const uint8_t *, const uint8_t *, const uint8_t *, unsigned long, const uint8_t *)",
);
/** mount(2). `data` is at most one page; longer is refused by the kernel. */
export function mount(
  source: PathBytes,
  target: PathBytes,
  options: { readonly type?: string; readonly flags?: number; readonly data?: PathBytes } = {},
): void {
  const result = mountFn(
    cString(source),
    cString(target),
    options.type === undefined ? null : cString(options.type),
    options.flags ?? 0,
    options.data === undefined ? null : cString(options.data),
  ) as number;
  check(result, "mount", `${options.type ?? "bind"} ${show(source)} on ${show(target)}`);
}

const umount2Fn = libc.func("int umount2(const uint8_t *, int)");
/** umount2(2). */
export function umount(target: PathBytes, flags = 0): void {
  check(umount2Fn(cString(target), flags) as number, "umount2", show(target));
}

/** As `umount`, on a thread of libuv's pool. */
export async function umountLater(target: PathBytes, flags = 0): Promise<void> {
  const { result, errno } = await new Promise<{ readonly result: number; readonly errno: number }>(
    (resolve, reject) => {
      umount2Fn.async(cString(target), flags, (error: Error | null | undefined, value: number) => {
        if (error === null || error === undefined) resolve({ result: value, errno: koffi.errno() });
        else reject(error);
      });
    },
  );
  if (result >= 0) return;
  koffi.errno(errno);
  throwErrno("umount2", show(target));
}

// -- namespaces ----------------------------------------------------------------------------------------------------------

export const CLONE_NEWNET = 0x40000000;

const unshareFn = libc.func("int unshare(int)");
/** unshare(2), of the calling thread. Must be undone before the next statement that can yield. */
export function unshare(flags: number): void {
  check(unshareFn(flags) as number, "unshare", `0x${flags.toString(16)}`);
}

const setnsFn = libc.func("int setns(int, int)");
/** setns(2), of the calling thread. Must be undone before the next statement that can yield. */
export function setns(fd: number, nstype: number): void {
  check(setnsFn(fd, nstype) as number, "setns", `fd ${fd}`);
}

// -- files ---------------------------------------------------------------------------------------------------------------

export const AT_FDCWD = -100;
export const AT_EMPTY_PATH = 0x1000;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_REMOVEDIR = 0x200;
export const O_CLOEXEC = 0o2000000;
export const O_PATH = 0o10000000;
export const O_NOFOLLOW = process.arch === "arm64" ? 0o100000 : 0o400000;
export const O_DIRECTORY = process.arch === "arm64" ? 0o40000 : 0o200000;
export const RESOLVE_NO_XDEV = 0x01;
export const RESOLVE_NO_MAGICLINKS = 0x02;
export const RESOLVE_NO_SYMLINKS = 0x04;
export const RESOLVE_BENEATH = 0x08;
export const RESOLVE_IN_ROOT = 0x10;

const SYS = { openat2: 437, pidfd_open: 434, pidfd_send_signal: 424, close_range: 436 } as const;
const openat2Fn = libc.func("syscall", "long", ["long", "int", "const uint8_t *", "const uint8_t *", "size_t"]);
/** openat2(2) (Linux 5.6). `resolve`: RESOLVE_* bits; RESOLVE_IN_ROOT treats `dirFd` as "/". Adds O_CLOEXEC. */
export function openat2(
  dirFd: number,
  path: PathBytes,
  how: { readonly flags: number; readonly mode?: number; readonly resolve: number },
): number {
  const openHow = Buffer.alloc(24);
  openHow.writeBigUInt64LE(BigInt(how.flags | O_CLOEXEC), 0);
  openHow.writeBigUInt64LE(BigInt(how.mode ?? 0), 8);
  openHow.writeBigUInt64LE(BigInt(how.resolve), 16);
  const result = Number(openat2Fn(SYS.openat2, dirFd, cString(path), openHow, openHow.length));
  return check(result, "openat2", show(path));
}

const openatFn = libc.func("int openat(int, const uint8_t *, int, unsigned int)");
/** openat(2). Adds O_CLOEXEC. */
export function openat(dirFd: number, path: PathBytes, flags: number, mode = 0): number {
  return check(openatFn(dirFd, cString(path), flags | O_CLOEXEC, mode) as number, "openat", show(path));
}

const mkdiratFn = libc.func("int mkdirat(int, const uint8_t *, unsigned int)");
export function mkdirat(dirFd: number, path: PathBytes, mode: number): void {
  check(mkdiratFn(dirFd, cString(path), mode) as number, "mkdirat", show(path));
}
const mknodatFn = libc.func("int mknodat(int, const uint8_t *, unsigned int, uint64_t)");
/** mknodat(2); `mode` includes the type bits, `device` is `makedev(major, minor)`. */
export function mknodat(dirFd: number, path: PathBytes, mode: number, device: bigint): void {
  check(mknodatFn(dirFd, cString(path), mode, device) as number, "mknodat", show(path));
}
/** glibc's encoding of a device number. */
export function makedev(major: number, minor: number): bigint {
  const [a, i] = [BigInt(major), BigInt(minor)];
  return ((a & 0xfffff000n) << 32n) | ((a & 0xfffn) << 8n) | ((i & 0xffffff00n) << 12n) | (i & 0xffn);
}
const symlinkatFn = libc.func("int symlinkat(const uint8_t *, int, const uint8_t *)");
export function symlinkat(target: PathBytes, dirFd: number, path: PathBytes): void {
  check(symlinkatFn(cString(target), dirFd, cString(path)) as number, "symlinkat", show(path));
}
const linkatFn = libc.func("int linkat(int, const uint8_t *, int, const uint8_t *, int)");
export interface PathAt {
  readonly dirFd: number;
  readonly path: PathBytes;
}
export function linkat(from: PathAt, to: PathAt, flags: number): void {
  const result = linkatFn(from.dirFd, cString(from.path), to.dirFd, cString(to.path), flags) as number;
  check(result, "linkat", show(to.path));
}
const unlinkatFn = libc.func("int unlinkat(int, const uint8_t *, int)");
export function unlinkat(dirFd: number, path: PathBytes, flags = 0): void {
  check(unlinkatFn(dirFd, cString(path), flags) as number, "unlinkat", show(path));
}
const fchownatFn = libc.func("int fchownat(int, const uint8_t *, unsigned int, unsigned int, int)");
/** fchownat(2), never through a symlink. */
export function fchownat(dirFd: number, path: PathBytes, owner: { readonly uid: number; readonly gid: number }): void {
  const flags = AT_SYMLINK_NOFOLLOW | (path.length === 0 ? AT_EMPTY_PATH : 0);
  check(fchownatFn(dirFd, cString(path), owner.uid, owner.gid, flags) as number, "fchownat", show(path));
}
const fchmodatFn = libc.func("int fchmodat(int, const uint8_t *, unsigned int, int)");
/** fchmodat(2). Follows a symlink in the last component: call it only on what is known not to be one. */
export function fchmodat(dirFd: number, path: PathBytes, mode: number): void {
  check(fchmodatFn(dirFd, cString(path), mode, 0) as number, "fchmodat", show(path));
}
const utimensatFn = libc.func("int utimensat(int, const uint8_t *, const uint8_t *, int)");
/** utimensat(2), never through a symlink. Seconds and nanoseconds since the epoch, used for access and modification. */
export function utimensat(dirFd: number, path: PathBytes, time: { readonly sec: bigint; readonly nsec: number }): void {
  check(utimensatFn(dirFd, cString(path), timeSpecs(time), AT_SYMLINK_NOFOLLOW) as number, "utimensat", show(path));
}
/** Two equal struct timespec. */
function timeSpecs(time: { readonly sec: bigint; readonly nsec: number }): Buffer {
  const spec = Buffer.alloc(32);
  for (const offset of [0, 16]) {
    spec.writeBigInt64LE(time.sec, offset);
    spec.writeBigInt64LE(BigInt(time.nsec), offset + 8);
  }
  return spec;
}

const lsetxattrFn = libc.func("int lsetxattr(const uint8_t *, const uint8_t *, const uint8_t *, size_t, int)");
export function lsetxattr(path: PathBytes, name: string, value: Buffer): void {
  const result = lsetxattrFn(cString(path), cString(name), value, value.length, 0) as number;
  check(result, "lsetxattr", `${name} ${show(path)}`);
}
const futimensFn = libc.func("int futimens(int, const uint8_t *)");
/** futimens(3): access and modification time of an open file. */
export function futimens(fd: number, time: { readonly sec: bigint; readonly nsec: number }): void {
  check(futimensFn(fd, timeSpecs(time)) as number, "futimens", `fd ${fd}`);
}
const fsetxattrFn = libc.func("int fsetxattr(int, const uint8_t *, const uint8_t *, size_t, int)");
export function fsetxattr(fd: number, name: string, value: Buffer): void {
  check(fsetxattrFn(fd, cString(name), value, value.length, 0) as number, "fsetxattr", `${name} fd ${fd}`);
}
const syncfsFn = libc.func("int syncfs(int)");
/** syncfs(2) on a thread of libuv's pool: everything written to the file system of `fd` so far is durable after it. */
export async function syncfs(fd: number): Promise<void> {
  const result = await new Promise<number>((resolve, reject) => {
    syncfsFn.async(fd, (error: Error | null | undefined, value: number) => {
      if (error === null || error === undefined) resolve(value);
      else reject(error);
    });
  });
  check(result, "syncfs", `fd ${fd}`);
}
/** For values and lists of extended attributes, which have at most 64 kB: read out before the next call. */
const xattrBuffer = Buffer.alloc(65536);
const lgetxattrFn = libc.func("long lgetxattr(const uint8_t *, const uint8_t *, _Out_ uint8_t *, size_t)");
/** The value, or undefined when there is none or the file system has no xattrs. */
export function lgetxattr(path: PathBytes, name: string): Buffer | undefined {
  const length = Number(lgetxattrFn(cString(path), cString(name), xattrBuffer, xattrBuffer.length));
  if (length >= 0) return Buffer.from(xattrBuffer.subarray(0, length));
  const errno = errnoNames.get(koffi.errno());
  if (errno === "ENODATA" || errno === "EOPNOTSUPP" || errno === "ENOTSUP") return undefined;
  return throwErrno("lgetxattr", `${name} ${show(path)}`);
}
const llistxattrFn = libc.func("long llistxattr(const uint8_t *, _Out_ uint8_t *, size_t)");
export function llistxattr(path: PathBytes): readonly string[] {
  const length = Number(llistxattrFn(cString(path), xattrBuffer, xattrBuffer.length));
  if (length < 0) {
    const errno = errnoNames.get(koffi.errno());
    if (errno === "EOPNOTSUPP" || errno === "ENOTSUP") return [];
    return throwErrno("llistxattr", show(path));
  }
  if (length === 0) return [];
  return xattrBuffer
    .subarray(0, length)
    .toString("latin1")
    .split("\0")
    .filter((name) => name !== "");
}

const flockFn = libc.func("int flock(int, int)");
export const LOCK_EX = 2;
export const LOCK_NB = 4;
/** flock(2). @returns false when LOCK_NB was given and somebody else holds it. */
export function flock(fd: number, operation: number): boolean {
  if ((flockFn(fd, operation) as number) === 0) return true;
  if (errnoNames.get(koffi.errno()) === "EAGAIN" || errnoNames.get(koffi.errno()) === "EWOULDBLOCK") return false;
  return throwErrno("flock", `fd ${fd}`);
}

const fcntlFn = libc.func("fcntl", "int", ["int", "int", "long"]);
const F_GETFD = 1;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
/** Sets or clears close-on-exec. */
export function setCloseOnExec(fd: number, on: boolean): void {
  const flags = check(fcntlFn(fd, F_GETFD, 0) as number, "fcntl", `fd ${fd}`);
  check(fcntlFn(fd, F_SETFD, on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC) as number, "fcntl", `fd ${fd}`);
}

const umaskFn = libc.func("unsigned int umask(unsigned int)");
/** umask(2): process-wide, so restore it before the next statement that can yield. */
export function umask(mask: number): number {
  return umaskFn(mask) as number;
}

// -- processes -----------------------------------------------------------------------------------------------------------

const pidfdOpenFn = libc.func("syscall", "long", ["long", "int", "unsigned int"]);
/** pidfd_open(2) (Linux 5.3). The descriptor becomes readable when the process ends. */
export function pidfdOpen(pid: number): number {
  return check(Number(pidfdOpenFn(SYS.pidfd_open, pid, 0)), "pidfd_open", `pid ${pid}`);
}
const pidfdSendSignalFn = libc.func("syscall", "long", ["long", "int", "int", "void *", "unsigned int"]);
/** pidfd_send_signal(2): cannot hit another process that got the same pid. */
export function pidfdSendSignal(pidfd: number, signal: number): void {
  check(Number(pidfdSendSignalFn(SYS.pidfd_send_signal, pidfd, signal, null, 0)), "pidfd_send_signal", `${signal}`);
}
const sysconfFn = libc.func("long sysconf(int)");
/** Clock ticks a second, the unit of times in /proc/<pid>/stat. */
export const clockTicks = Number(sysconfFn(2));

// -- sockets -------------------------------------------------------------------------------------------------------------

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_SEQPACKET = 5;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;
export const MSG_DONTWAIT = 0x40;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_RCVBUF = 8;
export const SO_RCVTIMEO = 20;

const socketFn = libc.func("int socket(int, int, int)");
/** socket(2). Adds SOCK_CLOEXEC. */
export function socket(domain: number, type: number, protocol = 0): number {
  return check(socketFn(domain, type | SOCK_CLOEXEC, protocol) as number, "socket", `${domain}/${type}/${protocol}`);
}
const bindFn = libc.func("int bind(int, const uint8_t *, unsigned int)");
/** bind(2); `address` is the whole sockaddr. */
export function bind(fd: number, address: Buffer): void {
  check(bindFn(fd, address, address.length) as number, "bind", `fd ${fd}`);
}
const connectFn = libc.func("int connect(int, const uint8_t *, unsigned int)");
export function connect(fd: number, address: Buffer): void {
  check(connectFn(fd, address, address.length) as number, "connect", `fd ${fd}`);
}
const listenFn = libc.func("int listen(int, int)");
export function listen(fd: number, backlog: number): void {
  check(listenFn(fd, backlog) as number, "listen", `fd ${fd}`);
}
const setsockoptFn = libc.func("int setsockopt(int, int, int, const uint8_t *, unsigned int)");
export function setsockopt(fd: number, option: { readonly level: number; readonly name: number }, value: Buffer): void {
  const result = setsockoptFn(fd, option.level, option.name, value, value.length) as number;
  check(result, "setsockopt", `fd ${fd} ${option.level}/${option.name}`);
}
const getsocknameFn = libc.func("int getsockname(int, _Out_ uint8_t *, _Inout_ uint32_t *)");
/** The bound address, as a sockaddr. */
export function getsockname(fd: number): Buffer {
  const buffer = Buffer.alloc(128);
  const length = [buffer.length];
  check(getsocknameFn(fd, buffer, length) as number, "getsockname", `fd ${fd}`);
  return buffer.subarray(0, length[0]);
}
const sendFn = libc.func("long send(int, const uint8_t *, size_t, int)");
/** send(2). @returns bytes taken; -1 when MSG_DONTWAIT was given and it would block. */
export function send(fd: number, data: Buffer, flags = 0): number {
  const result = Number(sendFn(fd, data, data.length, flags));
  if (result >= 0) return result;
  const errno = errnoNames.get(koffi.errno());
  return errno === "EAGAIN" || errno === "EWOULDBLOCK" ? -1 : throwErrno("send", `fd ${fd}`);
}
/** send(2) on a thread of libuv's pool: for netlink requests whose work the kernel does before it returns, and that take long.
 *  Errors show in the answer. */
export async function sendOnThread(fd: number, data: Buffer): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    sendFn.async(fd, data, data.length, 0, (error: Error | null | undefined) => {
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });
}
const recvFn = libc.func("long recv(int, _Out_ uint8_t *, size_t, int)");
/** recv(2) into `buffer`. @returns bytes; 0 at the end of a connection; -1 when it would block. */
export function recv(fd: number, buffer: Buffer, flags = 0): number {
  const result = Number(recvFn(fd, buffer, buffer.length, flags));
  if (result >= 0) return result;
  const errno = errnoNames.get(koffi.errno());
  return errno === "EAGAIN" || errno === "EWOULDBLOCK" ? -1 : throwErrno("recv", `fd ${fd}`);
}
/** sockaddr_un for a file-system path of at most 107 bytes. */
export function unixAddress(path: string): Buffer {
  const bytes = cString(path);
  if (bytes.length > 108) throw new TscomposeError("request/invalid", `socket path is too long: ${path}`);
  const address = Buffer.alloc(2 + bytes.length);
  address.writeUInt16LE(AF_UNIX, 0);
  bytes.copy(address, 2);
  return address;
}

// -- readiness -------------------------------------------------------------------------------------------------------------

const eventfdFn = libc.func("int eventfd(unsigned int, int)");
export function eventfd(): number {
  return check(eventfdFn(0, SOCK_CLOEXEC | SOCK_NONBLOCK) as number, "eventfd", "");
}
const epollCreateFn = libc.func("int epoll_create1(int)");
export function epollCreate(): number {
  return check(epollCreateFn(SOCK_CLOEXEC) as number, "epoll_create1", "");
}
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;
export const EPOLLIN = 0x1;
export const EPOLLOUT = 0x4;
/** struct epoll_event is packed on x86_64 only. */
const epollEventSize = process.arch === "x64" ? 12 : 16;
const epollDataOffset = process.arch === "x64" ? 4 : 8;
const epollCtlFn = libc.func("int epoll_ctl(int, int, int, const uint8_t *)");
export function epollCtl(
  epfd: number,
  operation: number,
  target: { readonly fd: number; readonly events: number },
): void {
  const event = Buffer.alloc(16);
  event.writeUInt32LE(target.events >>> 0, 0);
  event.writeInt32LE(target.fd, epollDataOffset);
  check(epollCtlFn(epfd, operation, target.fd, event) as number, "epoll_ctl", `fd ${target.fd}`);
}
const pollFn = libc.func("int poll(_Inout_ uint8_t *, unsigned long, int)");
export const POLLHUP = 0x10;
/** poll(2) of one descriptor without waiting, for what is reported unasked: POLLERR, POLLHUP, POLLNVAL. */
export function pollNow(fd: number): number {
  const pollFd = Buffer.alloc(8); // struct pollfd: int fd; short events; short revents
  pollFd.writeInt32LE(fd, 0);
  check(pollFn(pollFd, 1, 0) as number, "poll", `fd ${fd}`);
  return pollFd.readInt16LE(6);
}
const epollWaitFn = libc.func("int epoll_wait(int, _Out_ uint8_t *, int, int)");
/** epoll_wait(2) on a thread of libuv's pool: it takes one such thread for as long as it waits. -1: no time limit. */
export async function epollWait(
  epfd: number,
  timeoutMs: number,
): Promise<readonly { readonly fd: number; readonly events: number }[]> {
  const capacity = 64;
  const buffer = Buffer.alloc(epollEventSize * capacity);
  const count = await new Promise<number>((resolve, reject) => {
    epollWaitFn.async(epfd, buffer, capacity, timeoutMs, (error: Error | null | undefined, result: number) => {
      if (error === null || error === undefined) resolve(result);
      else reject(error);
    });
  });
  return readyIn(buffer, count);
}

/** epoll_wait(2) without waiting: what is ready now. */
export function epollReady(epfd: number): readonly { readonly fd: number; readonly events: number }[] {
  const capacity = 64;
  const buffer = Buffer.alloc(epollEventSize * capacity);
  return readyIn(buffer, epollWaitFn(epfd, buffer, capacity, 0) as number);
}

function readyIn(buffer: Buffer, count: number): readonly { readonly fd: number; readonly events: number }[] {
  const ready: { fd: number; events: number }[] = [];
  for (let i = 0; i < count; i++) {
    const offset = i * epollEventSize;
    ready.push({ fd: buffer.readInt32LE(offset + epollDataOffset), events: buffer.readUInt32LE(offset) });
  }
  return ready;
}
