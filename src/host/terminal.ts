/** The engine's end of a pseudo-terminal. Source: ioctl_tty(2), pty(7). */
import { closeSync, constants, openSync } from "node:fs";
import type { Socket } from "node:net";
import { ReadStream } from "node:tty";
import { check, libc, O_CLOEXEC } from "./libc.ts";

const ioctlFn = libc.func("ioctl", "int", ["int", "unsigned long", "_Inout_ uint8_t *"]);
const TIOCSWINSZ = 0x5414;

/** Rows and columns, 0 to 65535. */
export function setTerminalSize(fd: number, height: number, width: number): void {
  const size = Buffer.alloc(8);
  size.writeUInt16LE(height, 0);
  size.writeUInt16LE(width, 2);
  check(ioctlFn(fd, TIOCSWINSZ, size) as number, "ioctl", `TIOCSWINSZ fd ${fd}`);
}

/** A duplex stream over the master side; it owns `fd`. When the last process on the other side has ended, so does the stream, or it
 *  fails with EIO: that is how Linux says it. */
export function openTerminal(fd: number): Socket {
  return new ReadStream(fd);
}

const unlockFn = libc.func("int unlockpt(int)");
const nameFn = libc.func("int ptsname_r(int, _Out_ uint8_t *, size_t)");

/** A new pseudo-terminal; the caller owns both descriptors. The slave does not become anybody's controlling terminal. */
export function openPty(): { readonly master: number; readonly slave: number } {
  const flags = constants.O_RDWR | constants.O_NOCTTY | O_CLOEXEC;
  const master = openSync("/dev/ptmx", flags);
  try {
    check(unlockFn(master) as number, "unlockpt", `fd ${master}`);
    const name = Buffer.alloc(128);
    check(-(nameFn(master, name, name.length) as number), "ptsname_r", `fd ${master}`);
    return { master, slave: openSync(name.toString("latin1", 0, name.indexOf(0)), flags) };
  } catch (error) {
    closeSync(master);
    throw error;
  }
}
