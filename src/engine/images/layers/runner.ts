/** Runs layer jobs on threads of their own, a few at a time; the others wait. A thread is started when it is needed and ended when
 *  it has been idle for a while: an idle engine has none. */
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { isTscomposeError, TscomposeError } from "../../../errors.ts";
import { runLayerJob, type LayerJob, type LayerResult } from "./layer-job.ts";
import type { FromWorker, PlainError, ToWorker } from "./worker-protocol.ts";

export interface LayerRunner {
  /** @param pushed the packed bytes, for a job whose source is pushed; what it throws is thrown here */
  run(job: LayerJob, pushed?: AsyncIterable<Buffer>): Promise<LayerResult>;
  /** Ends idle threads; jobs that run fail with `aborted`. */
  close(): Promise<void>;
}

/** On the calling thread. */
export const inlineRunner: LayerRunner = { run: runLayerJob, close: () => Promise.resolve() };

/** Beside the bundle, as the build puts it. Where the program runs from its sources there is none, and jobs run inline. */
export function defaultWorkerUrl(): URL | undefined {
  const url = new URL("./layer-worker.cjs", import.meta.url);
  return existsSync(url) ? url : undefined;
}

const idleMs = 10_000;
/** A job with fewer packed bytes is done sooner than a thread is started. */
const inlineBytes = 4 * 1024 * 1024;
/** Pushed bytes that may wait in a thread. */
const windowBytes = 8 * 1024 * 1024;
const pieceBytes = 512 * 1024;

interface Thread {
  readonly worker: Worker;
  idleTimer: NodeJS.Timeout | undefined;
}

export class ThreadRunner implements LayerRunner {
  readonly #url: URL;
  readonly #limit = Math.max(3, Math.min(4, availableParallelism()));
  readonly #idle: Thread[] = [];
  readonly #all = new Set<Thread>();
  readonly #waiting: (() => void)[] = [];
  #busy = 0;
  #closed = false;

  constructor(url: URL) {
    this.#url = url;
  }

  async run(job: LayerJob, pushed?: AsyncIterable<Buffer>): Promise<LayerResult> {
    if (this.#idle.length === 0 && job.size !== undefined && job.size < inlineBytes) return runLayerJob(job, pushed);
    const thread = await this.#take();
    let reusable = false;
    try {
      const result = await runOn(thread.worker, job, pushed);
      reusable = true;
      return result;
    } catch (error) {
      reusable = !isTscomposeError(error, "engine/failed");
      throw error;
    } finally {
      this.#give(thread, reusable);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const wake of this.#waiting.splice(0)) wake();
    await Promise.all([...this.#all].map((thread) => this.#end(thread)));
  }

  async #take(): Promise<Thread> {
    while (this.#busy >= this.#limit && !this.#closed) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    if (this.#closed) throw new TscomposeError("aborted", "the image store is closing");
    this.#busy++;
    const idle = this.#idle.pop();
    clearTimeout(idle?.idleTimer);
    return idle ?? this.#start();
  }

  #give(thread: Thread, reusable: boolean): void {
    this.#busy--;
    if (reusable && !this.#closed && this.#all.has(thread)) {
      this.#idle.push(thread);
      thread.idleTimer = setTimeout(() => {
        const at = this.#idle.indexOf(thread);
        if (at >= 0) this.#idle.splice(at, 1);
        void this.#end(thread);
      }, idleMs);
      thread.idleTimer.unref();
    } else void this.#end(thread);
    this.#waiting.shift()?.();
  }

  #start(): Thread {
    const worker = new Worker(this.#url, { execArgv: [], trackUnmanagedFds: false });
    worker.unref();
    const thread: Thread = { worker, idleTimer: undefined };
    this.#all.add(thread);
    // A thread may die between two jobs, too; its job, if it has one, hears of it by itself.
    worker.on("error", () => undefined);
    worker.on("exit", () => {
      clearTimeout(thread.idleTimer);
      this.#all.delete(thread);
      const at = this.#idle.indexOf(thread);
      if (at >= 0) this.#idle.splice(at, 1);
    });
    return thread;
  }

  async #end(thread: Thread): Promise<void> {
    clearTimeout(thread.idleTimer);
    this.#all.delete(thread);
    await thread.worker.terminate();
  }
}

async function runOn(worker: Worker, job: LayerJob, pushed: AsyncIterable<Buffer> | undefined): Promise<LayerResult> {
  const send = (message: ToWorker, transfer: ArrayBuffer[] = []): void => worker.postMessage(message, transfer);
  const pending = { bytes: 0, wake: undefined as (() => void) | undefined, over: false };
  const listeners = new AbortController();
  const result = new Promise<LayerResult>((resolve, reject) => {
    const fail = (error: Error): void => reject(error);
    const onMessage = (message: FromWorker): void => {
      if (message.type === "taken") pending.bytes -= message.bytes;
      else if (message.type === "done") resolve(message.result);
      else fail(fromPlain(message.error));
      if (message.type !== "taken") pending.over = true;
      pending.wake?.();
    };
    const onExit = (): void => fail(new TscomposeError("aborted", "the layer thread has ended"));
    const onError = (error: Error): void =>
      fail(new TscomposeError("engine/failed", `layer thread failed: ${error.message}`, { cause: error }));
    worker.on("message", onMessage).on("exit", onExit).on("error", onError);
    listeners.signal.addEventListener("abort", () =>
      worker.off("message", onMessage).off("exit", onExit).off("error", onError),
    );
  });
  result.catch(() => (pending.over = true));
  worker.ref();
  try {
    send({ type: "start", job });
    if (pushed !== undefined) await pump(pushed, pending, send);
    return await result;
  } catch (error) {
    // The thread has to come to rest before it can take another job.
    if (!pending.over) {
      send({ type: "abort" });
      await result.catch(() => undefined);
    }
    throw error;
  } finally {
    listeners.abort();
    worker.unref();
  }
}

async function pump(
  pushed: AsyncIterable<Buffer>,
  pending: { bytes: number; wake: (() => void) | undefined; over: boolean },
  send: (message: ToWorker, transfer?: ArrayBuffer[]) => void,
): Promise<void> {
  for await (const data of inPieces(pushed)) {
    if (pending.over) return;
    pending.bytes += data.length;
    send({ type: "chunk", data }, [data.buffer]);
    while (pending.bytes > windowBytes && !pending.over) {
      await new Promise<void>((resolve) => (pending.wake = resolve));
    }
  }
  send({ type: "end" });
}

/** The same bytes in large pieces that are nobody else's: a message to a thread costs more than copying what is in it. */
async function* inPieces(chunks: AsyncIterable<Buffer>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let piece = new Uint8Array(pieceBytes);
  let used = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      const part = chunk.subarray(at, at + pieceBytes - used);
      piece.set(part, used);
      used += part.length;
      at += part.length;
      if (used < pieceBytes) continue;
      yield piece;
      piece = new Uint8Array(pieceBytes);
      used = 0;
    }
  }
  if (used > 0) yield piece.subarray(0, used);
}

function fromPlain({ code, message, hint, details }: PlainError): TscomposeError {
  return new TscomposeError(code, message, { details, ...(hint === undefined ? {} : { hint }) });
}
