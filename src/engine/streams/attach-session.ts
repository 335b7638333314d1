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

/** Beyond this much waiting output the monitor, and with it the container, waits for the reader... */
const pauseBytes = 1024 * 1024;
/** ... but not for one that takes nothing for so long: it is cut off. */
const stallMs = 5000;

export class AttachSession implements StdioSession {
  readonly tty: boolean;
  readonly #wishes: AttachWishes;
  readonly #line: AttachLine;
  readonly #queue: PushQueue<OutputChunk>;
  readonly #matcher: DetachMatcher | undefined;
  #stall: NodeJS.Timeout | undefined;
  #left = false;

  constructor(wishes: AttachWishes, line: AttachLine) {
    this.tty = wishes.tty;
    this.#wishes = wishes;
    this.#line = line;
    this.#matcher = wishes.tty && wishes.stdin ? new DetachMatcher(wishes.detachKeys) : undefined;
    this.#queue = new PushQueue<OutputChunk>({
      limit: 4 * pauseBytes,
      weigh: ({ data }) => data.length,
      subject: "attach",
      onClose: () => this.#leave(),
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
    this.#queue.push({ stream: this.tty ? "console" : stream, data });
    if (this.#queue.pending < pauseBytes || this.#stall !== undefined) return;
    this.#line.hold(this);
    this.#watchProgress(this.#queue.pending);
    this.#queue.whenDrained(() => {
      clearTimeout(this.#stall);
      this.#stall = undefined;
      this.#line.release(this);
    });
  }

  #watchProgress(pending: number): void {
    this.#stall = setTimeout(() => {
      if (this.#queue.pending < pending) return this.#watchProgress(this.#queue.pending);
      this.#queue.fail(
        new TscomposeError("request/conflict", "attach: the reader took nothing for too long and was cut off", {
          hint: "read the stream without long pauses; the container goes on",
        }),
      );
    }, stallMs);
  }

  #leave(): void {
    if (this.#left) return;
    this.#left = true;
    clearTimeout(this.#stall);
    this.#line.leave(this);
  }
}
