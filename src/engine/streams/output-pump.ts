/** Several byte streams -> one iterable of output chunks. A reader that is slow slows the streams down; one that has left lets
 *  them run dry. */
import type { Readable } from "node:stream";
import type { OutputChunk } from "../engine.ts";
import { PushQueue } from "./push-queue.ts";

/** Beyond this much waiting output the streams are paused. */
const pauseBytes = 1024 * 1024;
/** How often held output asks whether it may go. */
const holdPollMs = 2;

export class OutputPump {
  readonly #queue: PushQueue<OutputChunk>;
  readonly #streams = new Set<Readable>();
  #held: OutputChunk[] = [];
  /** What becomes of gated output: it waits, it goes, it is dropped. */
  #gate: "ask" | "open" | "shut" = "ask";
  #discarding = false;
  #paused = false;
  #onDry: (() => void) | undefined;

  constructor(subject: string) {
    this.#queue = new PushQueue<OutputChunk>({
      limit: 2 * pauseBytes,
      weigh: ({ data }) => data.length,
      subject,
      onClose: () => this.discard(),
    });
  }

  get output(): AsyncIterable<OutputChunk> {
    return this.#queue;
  }

  /** Reads `stream` to its end. `mayPass`: asked until it is true; what comes before is held back. */
  add(stream: Readable, name: OutputChunk["stream"], mayPass: () => boolean = () => true): void {
    this.#streams.add(stream);
    let passing = false;
    stream.on("data", (data: Buffer) => {
      if (this.#discarding) return;
      passing ||= this.#gate === "open" || mayPass();
      if (passing) this.#push({ stream: name, data });
      else if (this.#gate === "ask") this.#hold({ stream: name, data }, mayPass);
    });
    const ended = (): void => {
      if (this.#streams.delete(stream) && this.#streams.size === 0) this.#onDry?.();
    };
    stream.on("error", ended).on("end", ended).on("close", ended);
    if (this.#paused) stream.pause();
  }

  /** Lets go what is held back, and all that comes. */
  release(): void {
    this.#gate = "open";
    const held = this.#held;
    this.#held = [];
    for (const chunk of held) this.#push(chunk);
  }

  /** Gives a message in the place of what is held back. Docker sends it as output, ended as on a terminal. */
  replace(message: string): void {
    this.#gate = "shut";
    this.#held = [];
    this.#push({ stream: "stdout", data: Buffer.from(`${message}\r\n`) });
  }

  /** Nobody reads: the streams go on into nothing. */
  discard(): void {
    this.#discarding = true;
    this.#held = [];
    this.#queue.end();
    for (const stream of this.#streams) stream.resume();
  }

  /** Ends the output when every stream has ended, or after `graceMs` in which the reader was not the one to wait for. */
  async endWhenDry(graceMs: number): Promise<void> {
    if (this.#streams.size > 0) {
      await new Promise<void>((resolve) => {
        const check = (): void => {
          if (this.#paused) timer = setTimeout(check, graceMs);
          else resolve();
        };
        let timer = setTimeout(check, graceMs);
        this.#onDry = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#queue.end();
    for (const stream of this.#streams) stream.destroy();
  }

  #push(chunk: OutputChunk): void {
    this.#queue.push(chunk);
    if (this.#paused || this.#queue.pending < pauseBytes) return;
    this.#paused = true;
    for (const stream of this.#streams) stream.pause();
    this.#queue.whenDrained(() => {
      this.#paused = false;
      for (const stream of this.#streams) stream.resume();
    });
  }

  #hold(chunk: OutputChunk, mayPass: () => boolean): void {
    this.#held.push(chunk);
    if (this.#held.length > 1) return;
    const ask = (): void => {
      if (this.#held.length === 0) return;
      if (mayPass()) this.release();
      else setTimeout(ask, holdPollMs);
    };
    setTimeout(ask, holdPollMs);
  }
}
