/** One client at the stdio of a container. It may come before the container runs. */
import { TscomposeError } from "../../errors.ts";
import type { OutputChunk, StdioSession } from "../engine.ts";
import { DetachMatcher } from "./detach-keys.ts";
import { PushQueue } from "./push-queue.ts";

/** What a session needs of the connection to the container's monitor. */
export interface AttachLine {
  /** Waits for the connection; false when it will not or no longer take anything. */
  send(data: Buffer): Promise<boolean>;
  /** The end of the container's input. */
  endSending(): void;
  /** A session that cannot take more; the line waits for it. */
  hold(session: AttachSession): void;
  release(session: AttachSession): void;
  /** The session has gone. */
  leave(session: AttachSession): void;
}

export interface AttachWishes {
  readonly tty: boolean;
  /** False when the client does not want it or the container has none. */
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** The first client's end of input is the container's. */
  readonly stdinOnce: boolean;
  readonly detachKeys: readonly number[];
  readonly onDetachKeys: () => void;
}

/** So much output may wait for the reader, and nobody feels it. */
const waitingBytes = 16 * 1024 * 1024;
/** Beyond it the monitor, and with it the container, waits for a reader that is only slow: one that has taken something within so
 *  long. One that stands still is cut off. */
const breathMs = 1000;
/** One that takes nothing for so long is cut off, however little waits for it. */
const stillMs = 60_000;

export class AttachSession implements StdioSession {
  readonly tty: boolean;
  readonly #wishes: AttachWishes;
  readonly #line: AttachLine;
  readonly #queue: PushQueue<OutputChunk>;
  readonly #matcher: DetachMatcher | undefined;
  #watchdog: NodeJS.Timeout | undefined;
  #tookAt = 0;
  #held = false;
  #left = false;

  constructor(wishes: AttachWishes, line: AttachLine) {
    this.tty = wishes.tty;
    this.#wishes = wishes;
    this.#line = line;
    this.#matcher = wishes.tty && wishes.stdin ? new DetachMatcher(wishes.detachKeys) : undefined;
    this.#queue = new PushQueue<OutputChunk>({
      limit: 2 * waitingBytes,
      weigh: ({ data }) => data.length,
      subject: "attach",
      onClose: () => this.#leave(),
      onTake: () => (this.#tookAt = performance.now()),
    });
  }

  get output(): AsyncIterable<OutputChunk> {
    return this.#queue;
  }

  async writeStdin(data: Buffer): Promise<boolean> {
    if (!this.#wishes.stdin || this.#left) return false;
    const { forward, detached } = this.#matcher?.feed(data) ?? { forward: data, detached: false };
    const taken = forward.length === 0 || (await this.#line.send(forward));
    if (!detached) return taken;
    this.#wishes.onDetachKeys();
    this.detach();
    return false;
  }

  /** With StdinOnce the container reads the end of its input; otherwise its input stays open and only this client leaves. */
  endStdin(): void {
    if (!this.#wishes.stdin || this.#left) return;
    if (this.#wishes.stdinOnce && !this.tty) this.#line.endSending();
    else this.detach();
  }

  /** Ends the output, after what waits. */
  detach(): void {
    this.#leave();
    this.#queue.end();
  }

  /** Output of the container. */
  deliver(stream: "stdout" | "stderr", data: Buffer): void {
    if (this.#left || !(this.tty || this.#wishes[stream])) return;
    if (this.#queue.pending === 0) this.#tookAt = performance.now();
    this.#queue.push({ stream: this.tty ? "console" : stream, data });
    this.#watchdog ??= setTimeout(() => this.#check(), stillMs);
    if (this.#queue.pending >= waitingBytes && !this.#held) this.#hold();
  }

  /** Looks at the reader: at once when too much waits, soon again while the container waits, rarely otherwise. */
  #check(): void {
    this.#watchdog = undefined;
    if (this.#left || this.#queue.pending === 0) return;
    const patience = this.#held ? breathMs : stillMs;
    const left = this.#tookAt + patience - performance.now();
    if (left > 0) {
      this.#watchdog = setTimeout(() => this.#check(), left);
      return;
    }
    this.#queue.fail(
      new TscomposeError("request/conflict", "attach: the reader took nothing for too long and was cut off", {
        hint: "read the stream without long pauses; the container goes on, and its log has the output",
      }),
    );
  }

  #hold(): void {
    this.#held = true;
    clearTimeout(this.#watchdog);
    this.#check();
    if (this.#left) return;
    this.#line.hold(this);
    this.#queue.whenDrained(() => {
      this.#held = false;
      this.#line.release(this);
    });
  }

  #leave(): void {
    if (this.#left) return;
    this.#left = true;
    clearTimeout(this.#watchdog);
    this.#line.leave(this);
  }
}
