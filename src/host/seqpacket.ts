/** A client of a unix seqpacket socket, which libuv cannot read. Records in, records out; reading can be paused, so that the
 *  other side feels a slow reader. Source: unix(7), recv(2). */
import { closeSync, constants, openSync } from "node:fs";
import { basename, dirname } from "node:path";
import * as libc from "./libc.ts";
import type { Poller } from "./poller.ts";

export interface PacketHandler {
  /** One record. The buffer is the callee's. */
  readonly onPacket: (data: Buffer) => void;
  /** The other side has closed. Once; not after `close`. */
  readonly onEnd: () => void;
}

const packetRoom = 64 * 1024;
/** Records read before others get a turn. */
const batch = 64;
const SHUT_WR = 1;
const shutdownFn = libc.libc.func("int shutdown(int, int)");

export class PacketConnection {
  readonly #fd: number;
  readonly #poller: Poller;
  readonly #handler: PacketHandler;
  #reading = false;
  #closed = false;
  /** Waits for room to send. */
  #writable: (() => void) | undefined;
  #sendTurn: Promise<unknown> = Promise.resolve();

  /** Connects at once. The path may be longer than a socket address. @throws host/syscall-failed when nobody listens there */
  constructor(path: string, poller: Poller, handler: PacketHandler) {
    this.#poller = poller;
    this.#handler = handler;
    this.#fd = connectPath(path);
    this.resume();
  }

  /** Sends one record, after those before it. False when the other side has gone. */
  async send(data: Buffer): Promise<boolean> {
    const before = this.#sendTurn;
    const mine = before.then(() => this.#send(data));
    this.#sendTurn = mine;
    return mine;
  }

  /** Half-close, after what is being sent: the other side reads the end of the stream, its records still come. */
  endSending(): void {
    void this.#sendTurn.then(() => {
      if (!this.#closed) shutdownFn(this.#fd, SHUT_WR);
    });
  }

  pause(): void {
    this.#reading = false;
    this.#arm();
  }

  resume(): void {
    if (this.#reading || this.#closed) return;
    this.#reading = true;
    this.#arm();
  }

  /** Takes what has arrived so far, now. */
  drain(): void {
    while (!this.#closed && this.#receive());
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#poller.unwatch(this.#fd);
    this.#writable?.();
    closeSync(this.#fd);
  }

  async #send(data: Buffer): Promise<boolean> {
    for (;;) {
      if (this.#closed) return false;
      try {
        if (libc.send(this.#fd, data, libc.MSG_DONTWAIT) >= 0) return true;
      } catch (error) {
        if (["EPIPE", "ECONNRESET", "ENOTCONN"].includes(libc.syscallErrno(error) ?? "")) return false;
        throw error;
      }
      await new Promise<void>((resolve) => {
        this.#writable = resolve;
        this.#arm();
      });
    }
  }

  /** A hang-up is reported whatever is asked for: a connection that neither reads nor wants to write must not be watched. */
  #arm(): void {
    this.#poller.unwatch(this.#fd);
    const events = (this.#reading ? libc.EPOLLIN : 0) | (this.#writable === undefined ? 0 : libc.EPOLLOUT);
    if (events !== 0 && !this.#closed) this.#poller.watch(this.#fd, events, (ready) => this.#ready(ready));
  }

  #ready(events: number): void {
    if (this.#writable !== undefined && (events & ~libc.EPOLLIN) !== 0) {
      const wake = this.#writable;
      this.#writable = undefined;
      this.#arm();
      wake();
    }
    for (let i = 0; i < batch && this.#reading && !this.#closed; i++) if (!this.#receive()) return;
  }

  /** False when nothing has come. */
  #receive(): boolean {
    const buffer = Buffer.allocUnsafe(packetRoom);
    let length: number;
    try {
      length = libc.recv(this.#fd, buffer, libc.MSG_DONTWAIT);
    } catch {
      length = 0;
    }
    if (length < 0) return false;
    if (length > 0) {
      // A small record does not hold on to the whole room.
      this.#handler.onPacket(
        length < packetRoom / 2 ? Buffer.from(buffer.subarray(0, length)) : buffer.subarray(0, length),
      );
      return true;
    }
    this.close();
    this.#handler.onEnd();
    return false;
  }
}

function connectPath(path: string): number {
  const directory = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const fd = libc.socket(libc.AF_UNIX, libc.SOCK_SEQPACKET | libc.SOCK_NONBLOCK);
    try {
      libc.connect(fd, libc.unixAddress(`/proc/self/fd/${directory}/${basename(path)}`));
      return fd;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  } finally {
    closeSync(directory);
  }
}
