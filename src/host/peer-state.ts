/** Whether the other end of a stream socket is gone. A peer that only shut its writing side and one that closed both read as
 *  end of file; poll(2) tells them apart by POLLHUP. */
import { POLLHUP, pollNow } from "./libc.ts";

/** True when nothing written to the socket would ever be read. */
export function hasHungUp(fd: number): boolean {
  return (pollNow(fd) & POLLHUP) !== 0;
}
