/** A bounded hand-over from what produces at its own pace to one async iterator. In: values with a weight. Out: the same, in
 *  order. A consumer that falls behind by more than the bound is cut off with an error: what it would need is never kept. */
import { TscomposeError } from "../../errors.ts";

export interface PushQueueOptions<T> {
  /** Most weight that may wait. */
  readonly limit: number;
  readonly weigh: (value: T) => number;
  /** Names the stream in the error of a consumer that was cut off. */
  readonly subject: string;
  /** Called once: the consumer has left, or has seen the end. */
  readonly onClose: () => void;
  /** The consumer has taken one. */
  readonly onTake?: () => void;
}

export class PushQueue<T> implements AsyncIterable<T> {
  readonly #options: PushQueueOptions<T>;
  #values: T[] = [];
  #weight = 0;
  #ended = false;
  #failure: Error | undefined;
  #closed = false;
  #wake: (() => void) | undefined;
  #onDrain: (() => void) | undefined;

  constructor(options: PushQueueOptions<T>) {
    this.#options = options;
  }

  /** Weight that waits for the consumer. */
  get pending(): number {
    return this.#weight;
  }

  /** False when the stream is over or the consumer was cut off by this very value. */
  push(value: T): boolean {
    if (this.#ended) return false;
    const weight = this.#options.weigh(value);
    if (this.#values.length > 0 && this.#weight + weight > this.#options.limit) {
      this.fail(
        new TscomposeError(
          "request/conflict",
          `${this.#options.subject}: the reader fell too far behind and was cut off`,
          {
            hint: "read the stream without long pauses, and ask again from the last time seen",
          },
        ),
      );
      return false;
    }
    this.#values.push(value);
    this.#weight += weight;
    this.#wake?.();
    return true;
  }

  /** Ends after what waits was delivered. Idempotent. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** Drops what waits, and throws at the consumer. */
  fail(error: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = error;
    this.#values = [];
    this.#weight = 0;
    this.#close();
    this.#wake?.();
  }

  /** Calls back once when less than half of the limit waits, at once if it is so already. For producers that can pause. */
  whenDrained(callback: () => void): void {
    if (this.#weight * 2 < this.#options.limit) callback();
    else this.#onDrain = callback;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    try {
      for (;;) {
        const values = this.#values;
        this.#values = [];
        for (const value of values) {
          yield value;
          this.#weight = Math.max(0, this.#weight - this.#options.weigh(value));
          this.#options.onTake?.();
          this.#drained();
        }
        if (this.#failure !== undefined) throw this.#failure;
        if (this.#values.length > 0) continue;
        if (this.#ended) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    } finally {
      this.#close();
    }
  }

  #drained(): void {
    if (this.#onDrain === undefined || this.#weight * 2 >= this.#options.limit) return;
    const callback = this.#onDrain;
    this.#onDrain = undefined;
    callback();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ended = true;
    this.#options.onClose();
  }
}
