/** Progress messages of one operation: pushed by its parallel parts, read by one client. A client that reads slowly does not hold
 *  the operation up: of the counting messages only the newest of each part is kept. */
import type { ProgressMessage } from "../types.ts";
import { explainDiskError } from "./disk-errors.ts";

export class ProgressStream implements AsyncIterable<ProgressMessage> {
  #messages: ProgressMessage[] = [];
  /** Counting messages that wait, by part. */
  readonly #counters = new Map<string, ProgressMessage>();
  #wake: (() => void) | undefined;
  #over = false;
  #failure: Error | undefined;

  push(message: ProgressMessage): void {
    if (message.id !== undefined) this.#counters.delete(message.id);
    this.#messages.push(message);
    this.#wake?.();
  }

  /** How far a part is; replaced by later messages of the part. */
  count(id: string, status: string, detail: { readonly current: number; readonly total: number }): void {
    this.#counters.set(id, { status, progressDetail: detail, progress: progressBar(detail.current, detail.total), id });
    this.#wake?.();
  }

  end(): void {
    this.#over = true;
    this.#wake?.();
  }

  /** Ends after what was said so far, by throwing. */
  fail(error: unknown): void {
    this.#failure = explainDiskError(error);
    this.end();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ProgressMessage> {
    for (;;) {
      const ready = [...this.#messages, ...this.#counters.values()];
      this.#messages = [];
      this.#counters.clear();
      yield* ready;
      if (this.#messages.length > 0 || this.#counters.size > 0) continue;
      if (this.#over) break;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    if (this.#failure !== undefined) throw this.#failure;
  }
}

const barWidth = 50;

/** `[=====>      ]  1.2MB/5.4MB`, as Docker draws it. Pure. */
export function progressBar(current: number, total: number): string {
  if (total <= 0) return humanSize(current);
  const done = Math.min(barWidth, Math.floor((current * barWidth) / total));
  const arrow = done < barWidth ? ">" : "";
  const bar = `${"=".repeat(done)}${arrow}`.padEnd(barWidth);
  return `[${bar}]  ${humanSize(current)}/${humanSize(total)}`;
}

/** Four digits with a decimal unit, as Docker prints sizes. Pure. */
export function humanSize(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toPrecision(4))}${units[unit]}`;
}
