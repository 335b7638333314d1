/** File-system notifications with a choice of events: Node's own watcher always asks for every write. Source: inotify(7). */
import { closeSync, readSync } from "node:fs";
import { errnoOf } from "../errors.ts";
import { check, cString, EPOLLIN, libc, O_CLOEXEC, SOCK_NONBLOCK } from "./libc.ts";
import type { Poller } from "./poller.ts";

export const IN_MODIFY = 0x2;
export const IN_MOVED_TO = 0x80;
const IN_IGNORED = 0x8000;
const IN_MASK_ADD = 0x20000000;
const IN_Q_OVERFLOW = 0x4000;

/** `name`: of the entry in a watched directory, empty for the watched thing itself. */
type Listener = (name: string) => void;

/** The longer one after a read that brought many events: whoever follows a flood then gets more at a time. */
const restMs = { calm: 2, flood: 8 };
const floodBytes = 1024;

const initFn = libc.func("int inotify_init1(int)");
const addFn = libc.func("int inotify_add_watch(int, const uint8_t *, uint32_t)");
const removeFn = libc.func("int inotify_rm_watch(int, int)");

export class Inotify {
  readonly #fd = check(initFn(SOCK_NONBLOCK | O_CLOEXEC) as number, "inotify_init1", "");
  readonly #poller: Poller;
  readonly #watches = new Map<number, Set<{ readonly mask: number; readonly listener: Listener }>>();
  readonly #buffer = Buffer.alloc(64 * 1024);
  #listening = false;
  #rest: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(poller: Poller) {
    this.#poller = poller;
  }

  /** Calls back for the events in `mask`, several of which may come as one. @returns how to stop that */
  watch(path: string, mask: number, listener: Listener): () => void {
    const wd = check(addFn(this.#fd, cString(path), mask | IN_MASK_ADD) as number, "inotify_add_watch", path);
    const entry = { mask, listener };
    const entries = this.#watches.get(wd) ?? new Set();
    this.#watches.set(wd, entries.add(entry));
    this.#listen();
    return () => {
      if (!entries.delete(entry) || this.#watches.get(wd) !== entries) return;
      // Both fail when the watched thing is gone: then there is nothing left to do.
      const left = [...entries].reduce((bits, other) => bits | other.mask, 0);
      if (left !== 0) addFn(this.#fd, cString(path), left);
      else removeFn(this.#fd, wd);
      if (left === 0) this.#forget(wd);
    };
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#rest);
    this.#silence();
    this.#watches.clear();
    closeSync(this.#fd);
  }

  #listen(): void {
    if (this.#closed || this.#listening || this.#rest !== undefined || this.#watches.size === 0) return;
    this.#listening = true;
    this.#poller.watch(this.#fd, EPOLLIN, () => this.#ready());
  }

  #silence(): void {
    if (this.#listening) this.#poller.unwatch(this.#fd);
    this.#listening = false;
  }

  /** Then a short rest, in which the kernel makes one event out of many alike: a flood of writes costs no more than a trickle. */
  #ready(): void {
    this.#silence();
    const rest = this.#read().bytes < floodBytes ? restMs.calm : restMs.flood;
    this.#rest = setTimeout(() => {
      this.#rest = undefined;
      this.#listen();
    }, rest);
  }

  #forget(wd: number): void {
    if (this.#watches.delete(wd) && this.#watches.size === 0) this.#silence();
  }

  /** Delivers at once what has happened so far. @returns whether it was more than writes */
  drain(): boolean {
    let moved = false;
    for (let bytes = 1; bytes > 0 && !this.#closed;) {
      const read = this.#read();
      bytes = read.bytes;
      moved ||= read.moved;
    }
    return moved;
  }

  #read(): { readonly bytes: number; readonly moved: boolean } {
    const length = this.#fill();
    let moved = false;
    for (let offset = 0; offset + 16 <= length;) {
      const wd = this.#buffer.readInt32LE(offset);
      const mask = this.#buffer.readUInt32LE(offset + 4);
      const nameLength = this.#buffer.readUInt32LE(offset + 12);
      const name = this.#buffer.toString("utf8", offset + 16, offset + 16 + nameLength).replace(/\0+$/, "");
      offset += 16 + nameLength;
      moved ||= mask !== IN_MODIFY;
      if ((mask & IN_Q_OVERFLOW) !== 0) this.#all();
      else if ((mask & IN_IGNORED) !== 0) this.#forget(wd);
      else for (const entry of this.#watches.get(wd) ?? []) if ((entry.mask & mask) !== 0) entry.listener(name);
    }
    return { bytes: length, moved };
  }

  #fill(): number {
    try {
      return readSync(this.#fd, this.#buffer);
    } catch (error) {
      if (errnoOf(error) === "EAGAIN") return 0;
      throw error;
    }
  }

  /** Events were lost: whoever watches looks for himself. */
  #all(): void {
    for (const entries of this.#watches.values()) for (const { listener } of entries) listener("");
  }
}
