/** Readiness of descriptors that libuv cannot watch (pidfd, seqpacket and netlink sockets): all of them in one epoll set, waited
 *  for by one thread of the pool, which a change of the set wakes through an eventfd. */
import { closeSync, readSync, writeSync } from "node:fs";
import * as libc from "./libc.ts";

type Callback = (events: number) => void;

export class Poller {
  readonly #epfd = libc.epollCreate();
  readonly #wake = libc.eventfd();
  readonly #watches = new Map<number, { readonly callback: Callback; readonly wait: number }>();
  /** Counts how often the thread has been sent to wait. */
  #wait = 0;
  #running: Promise<void> | undefined;
  #closed = false;

  constructor() {
    libc.epollCtl(this.#epfd, libc.EPOLL_CTL_ADD, { fd: this.#wake, events: libc.EPOLLIN });
  }

  /** Calls back on the main thread each time `fd` is ready (level-triggered), until `unwatch`. */
  watch(fd: number, events: number, callback: Callback): void {
    this.#watches.set(fd, { callback, wait: this.#wait });
    libc.epollCtl(this.#epfd, libc.EPOLL_CTL_ADD, { fd, events });
    this.#running ??= this.#loop();
  }

  /** Changes what is waited for. */
  rearm(fd: number, events: number): void {
    libc.epollCtl(this.#epfd, libc.EPOLL_CTL_MOD, { fd, events });
  }

  /** Call before closing `fd`. Idempotent. */
  unwatch(fd: number): void {
    if (!this.#watches.delete(fd)) return;
    libc.epollCtl(this.#epfd, libc.EPOLL_CTL_DEL, { fd, events: 0 });
    if (this.#watches.size === 0) this.#wakeUp();
  }

  /** Stops the thread and frees the descriptors of the poller itself. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#watches.clear();
    this.#wakeUp();
    await this.#running;
    closeSync(this.#wake);
    closeSync(this.#epfd);
  }

  #wakeUp(): void {
    writeSync(this.#wake, Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]));
  }

  /** Ends when nothing is watched, so that an idle poller holds no thread and does not keep the process alive. */
  async #loop(): Promise<void> {
    while (!this.#closed && this.#watches.size > 0) {
      this.#wait += 1;
      let ready = await libc.epollWait(this.#epfd, -1);
      if (ready.some(({ fd }) => this.#watches.get(fd)?.wait === this.#wait)) {
        this.#wait += 1;
        ready = libc.epollReady(this.#epfd);
      }
      for (const { fd, events } of ready) {
        if (fd === this.#wake) readSync(this.#wake, Buffer.alloc(8));
        else this.#report(fd, events);
      }
    }
    this.#running = undefined;
  }

  /** What the thread has seen may be of a descriptor that was closed before we heard of it, and whose number another one has got since.
   *  So for one that was added during the wait it is asked again, and one that is added now is the next wait's. */
  #report(fd: number, events: number): void {
    const watch = this.#watches.get(fd);
    if (watch !== undefined && watch.wait < this.#wait) watch.callback(events);
  }
}
