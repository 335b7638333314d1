/** The engine's end of a pseudo-terminal. Source: ioctl_tty(2), pty(7). */
import type { Socket } from "node:net";
import { ReadStream } from "node:tty";
import { errnoOf } from "../errors.ts";
import { check, libc } from "./libc.ts";

const ioctlFn = libc.func("ioctl", "int", ["int", "unsigned long", "_Inout_ uint8_t *"]);
const TIOCSWINSZ = 0x5414;

/** Rows and columns, 0 to 65535. */
export function setTerminalSize(fd: number, height: number, width: number): void {
  const size = Buffer.alloc(8);
  size.writeUInt16LE(height, 0);
  size.writeUInt16LE(width, 2);
  check(ioctlFn(fd, TIOCSWINSZ, size) as number, "ioctl", `TIOCSWINSZ fd ${fd}`);
}

/** A duplex stream over the master side; it owns `fd`. The end of the last process on the other side is the end of the stream. */
export function openTerminal(fd: number): Socket {
  const stream = new ReadStream(fd);
  stream.on("error", (error) => {
    // EIO is how Linux says that nobody has the other side open any more.
    if (errnoOf(error) === "EIO") stream.push(null);
  });
  return stream;
}
