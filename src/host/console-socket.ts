/** Where an OCI runtime sends the master side of the terminal that it made: a unix socket over which one descriptor comes.
 *  Source: runc's terminal documentation ("new terminal, detached"), unix(7) SCM_RIGHTS, cmsg(3). */
import { closeSync, constants, openSync, unlinkSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { TscomposeError } from "../errors.ts";
import * as libc from "./libc.ts";
import type { Poller } from "./poller.ts";

export interface ConsoleSocket {
  /** For `--console-socket`. Short enough for a socket address whatever the directory is called. */
  readonly path: string;
  /** The terminal; the caller owns it. Rejects after `close`. */
  readonly terminal: Promise<number>;
  /** Idempotent. Call it in any case. */
  close(): void;
}

/** Listens in `directory`, which only root may enter. */
export function openConsoleSocket(directory: string, poller: Poller): ConsoleSocket {
  const name = `tty-${randomBytes(6).toString("hex")}`;
  const dirFd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  const listener = libc.socket(libc.AF_UNIX, libc.SOCK_STREAM | libc.SOCK_NONBLOCK);
  try {
    libc.bind(listener, libc.unixAddress(`/proc/self/fd/${dirFd}/${name}`));
    libc.listen(listener, 1);
  } catch (error) {
    for (const fd of [dirFd, listener]) closeSync(fd);
    throw error;
  }
  let settle: (terminal: number | undefined) => void = () => undefined;
  const terminal = new Promise<number>((resolve, reject) => {
    settle = (fd) => {
      if (fd === undefined) reject(new TscomposeError("host/syscall-failed", "the runtime sent no terminal"));
      else resolve(fd);
    };
  });
  terminal.catch(() => undefined); // whoever waits for it hears of it
  let connection: number | undefined;
  let closed = false;
  const take = (): number | undefined => {
    connection ??= accept(listener);
    return connection === undefined ? undefined : receiveDescriptor(connection);
  };
  const finish = (fd: number | undefined): void => {
    closed = true;
    unlinkSync(`/proc/self/fd/${dirFd}/${name}`);
    for (const other of [dirFd, listener, ...(connection === undefined ? [] : [connection])]) {
      poller.unwatch(other);
      closeSync(other);
    }
    settle(fd);
  };
  // A runtime that has ended may have sent it just before: nobody has looked yet.
  const close = (): void => {
    if (!closed) finish(take());
  };
  poller.watch(listener, libc.EPOLLIN, () => {
    connection = accept(listener);
    if (connection === undefined) return;
    poller.unwatch(listener);
    poller.watch(connection, libc.EPOLLIN, () => finish(take()));
  });
  return { path: `/proc/${process.pid}/fd/${dirFd}/${name}`, terminal, close };
}

const accept4Fn = libc.libc.func("int accept4(int, void *, void *, int)");
function accept(listener: number): number | undefined {
  const fd = accept4Fn(listener, null, null, libc.SOCK_CLOEXEC | libc.SOCK_NONBLOCK) as number;
  return fd < 0 ? undefined : fd;
}

const recvmsgFn = libc.libc.func("long recvmsg(int, _Inout_ uint8_t *, int)");
const MSG_CMSG_CLOEXEC = 0x40000000;
const SCM_RIGHTS = 1;
/** struct cmsghdr: length (8), level (4), type (4), then the descriptors. */
const cmsgHeader = 16;

/** Undefined when the message carries none. Further descriptors of the same message cannot be lost: there is room for one. */
function receiveDescriptor(socket: number): number | undefined {
  const data = Buffer.alloc(4096);
  const control = Buffer.alloc(cmsgHeader + 8);
  const vector = Buffer.alloc(16);
  vector.writeBigUInt64LE(libc.koffi.address(data), 0);
  vector.writeBigUInt64LE(BigInt(data.length), 8);
  const header = Buffer.alloc(56);
  header.writeBigUInt64LE(libc.koffi.address(vector), 16);
  header.writeBigUInt64LE(1n, 24);
  header.writeBigUInt64LE(libc.koffi.address(control), 32);
  header.writeBigUInt64LE(BigInt(cmsgHeader + 4), 40);
  const received = Number(recvmsgFn(socket, header, MSG_CMSG_CLOEXEC | libc.MSG_DONTWAIT));
  if (received <= 0 || header.readBigUInt64LE(40) < BigInt(cmsgHeader + 4)) return undefined;
  const rights = control.readInt32LE(8) === libc.SOL_SOCKET && control.readInt32LE(12) === SCM_RIGHTS;
  return rights ? control.readInt32LE(cmsgHeader) : undefined;
}
