import { errorMessage } from "../errors.ts";

/** A queue from many producers to one consumer. */
export interface Channel<T> extends AsyncIterable<T> {
  push(value: T): void;
  /** What was pushed is still delivered; an error comes after it. */
  close(error?: unknown): void;
}

export function createChannel<T>(): Channel<T> {
  const values: T[] = [];
  let closed: { readonly error: unknown } | undefined;
  let wake: (() => void) | undefined;
  const notify = (): void => {
    wake?.();
    wake = undefined;
  };
  return {
    push: (value) => {
      if (closed !== undefined) return;
      values.push(value);
      notify();
    },
    close: (error) => {
      closed ??= { error };
      notify();
    },
    async *[Symbol.asyncIterator]() {
      let next = 0;
      for (;;) {
        while (next < values.length) yield values[next++] as T;
        values.length = next = 0;
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
