import { errorMessage } from "../errors.ts";

/** A queue from many producers to one consumer. */
export interface Channel<T> extends AsyncIterable<T> {
  push(value: T): void;
  /** Resolves when little waits for the consumer, or when it is closed: producers that can wait do, so that a slow consumer does not fill
   *  the memory. */
  room(): Promise<void>;
  /** What was pushed is still delivered; an error comes after it. */
  close(error?: unknown): void;
}

const roomFor = 1000;

export function createChannel<T>(): Channel<T> {
  let values: T[] = [];
  let next = 0;
  const waiting: (() => void)[] = [];
  let closed: { readonly error: unknown } | undefined;
  let wake: (() => void) | undefined;
  const notify = (): void => {
    wake?.();
    wake = undefined;
  };
  const release = (): void => {
    for (const go of waiting.splice(0)) go();
  };
  return {
    push: (value) => {
      if (closed !== undefined) return;
      values.push(value);
      notify();
    },
    room: async () => {
      while (closed === undefined && values.length - next >= roomFor) {
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
    },
    close: (error) => {
      closed ??= { error };
      notify();
      release();
    },
    async *[Symbol.asyncIterator]() {
      for (;;) {
        while (next < values.length) {
          yield values[next++] as T;
          if (next < roomFor) continue;
          values = values.slice(next);
          next = 0;
          release();
        }
        values.length = next = 0;
        release();
        if (closed !== undefined) {
          if (closed.error instanceof Error) throw closed.error;
          if (closed.error !== undefined) throw new Error(errorMessage(closed.error));
          return;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}
