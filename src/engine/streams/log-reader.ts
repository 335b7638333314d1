/** Reads a container's log, and follows it across new files and across restarts of the engine. It reads as fast as it is read
 *  from and keeps nothing beside one block; one that stands still is cut off once what it reads has been rotated away. */
import { open, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { errnoOf, TscomposeError } from "../../errors.ts";
import { realtimeNs } from "../../host/clock.ts";
import { IN_MODIFY, IN_MOVED_TO, type Inotify } from "../../host/inotify.ts";
import type { LogOptions, OutputChunk } from "../engine.ts";
import { listLogFiles, type LogFile } from "./log-files.ts";
import { findTail } from "./log-tail.ts";
import { LogText } from "./log-text.ts";

export interface LogSource {
  /** The file that conmon writes. */
  readonly path: string;
  readonly tty: boolean;
  /** Calls back when nothing more will be written, at once for a container that does not run. @returns how to stop that */
  readonly onEnd: (callback: () => void) => () => void;
}

interface OpenLogFile extends LogFile {
  readonly handle: FileHandle;
}

/** Small enough that others get their turn between two. */
const blockSize = 128 * 1024;
const countingAttempts = 10;
/** A reader that stands still for so long does not keep a file that was rotated away. */
const stallMs = 60_000;

/** @throws request/conflict to a reader that has fallen out of what is kept */
export async function* readLog(
  source: LogSource,
  options: LogOptions,
  context: { readonly inotify: Inotify; readonly signal: AbortSignal },
): AsyncGenerator<OutputChunk, void, undefined> {
  const files = await (options.follow ? openCountedFiles(source.path, context.inotify) : openLogFiles(source.path));
  const watchdog = new StallWatchdog(files);
  const changes = options.follow ? new ChangeSignal(source, options.untilNs, context) : undefined;
  try {
    const from = options.tail === undefined ? { file: 0, offset: 0 } : await findTail(handles(files), options.tail);
    const text = new LogText(options, source.tty);
    const block = Buffer.allocUnsafeSlow(blockSize);
    files.splice(0, from.file).forEach(({ handle }) => void handle.close());
    let offset = from.offset;
    for (let file = files[0]; file !== undefined; file = files[0]) {
      for await (const chunks of readFile({
        file,
        offset,
        source,
        text,
        block,
        inotify: context.inotify,
        changes,
        watchdog,
        files,
      })) {
        for (const chunk of chunks) {
          if (context.signal.aborted) return;
          yield chunk;
          watchdog.touch();
        }
      }
      if (changes?.over === true && changes.reason !== "ended") return;
      await file.handle.close().catch(() => undefined);
      files.shift();
      offset = 0;
    }
  } finally {
    watchdog.stop();
    changes?.stop();
    await Promise.all(files.map(({ handle }) => handle.close().catch(() => undefined)));
  }
}

const handles = (files: readonly OpenLogFile[]): FileHandle[] => files.map(({ handle }) => handle);

async function openLogFiles(path: string): Promise<OpenLogFile[]> {
  const opened: OpenLogFile[] = [];
  for (const file of listLogFiles(path)) {
    try {
      opened.push({ ...file, handle: await open(file.path, "r") });
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error; // rotated away meanwhile
    }
  }
  return opened;
}

/** The files with the numbers that count all that conmon had begun when they were looked at: a number that was given before another
 *  move was known says less than it seems to. A log that nobody keeps is never counted; its newest file comes without a number. */
async function openCountedFiles(path: string, inotify: Inotify): Promise<OpenLogFile[]> {
  for (let patience = countingAttempts; ;) {
    inotify.drain();
    await Promise.resolve(); // whoever keeps the files counts what came
    const files = await openLogFiles(path);
    const moved = inotify.drain();
    if (!moved && (files.at(-1)?.number !== undefined || patience-- === 0)) return files;
    files.forEach(({ handle }) => void handle.close());
    await new Promise((resolve) => setTimeout(resolve, moved ? 0 : 2));
  }
}

interface Pass {
  readonly file: OpenLogFile;
  readonly offset: number;
  readonly source: LogSource;
  readonly text: LogText;
  readonly block: Buffer;
  readonly inotify: Inotify;
  readonly changes: ChangeSignal | undefined;
  readonly watchdog: StallWatchdog;
  readonly files: OpenLogFile[];
}

/** One file to its end; the last one, when following, until the next one is there or the container has ended. Appends the
 *  files that come to `files`. */
async function* readFile(pass: Pass): AsyncGenerator<readonly OutputChunk[], void, undefined> {
  const { file, text, block, changes, files } = pass;
  let { offset } = pass;
  let last = false;
  text.nextFile();
  for (;;) {
    const seen = changes?.mark();
    const { bytesRead } = await pass.watchdog.guard(() => file.handle.read(block, 0, block.length, offset));
    offset += bytesRead;
    yield text.read(block.subarray(0, bytesRead));
    if (text.past) {
      changes?.finish("until");
      files.splice(1).forEach(({ handle }) => void handle.close());
      return;
    }
    if (bytesRead > 0) continue;
    if (changes === undefined || last || files.length > 1) return;
    if (changes.over && changes.reason !== "ended") return;
    const newer = await newerFiles(pass.source.path, file, pass.inotify);
    files.push(...newer);
    // What was written before conmon moved on, or ended, may have come after our last read: once more.
    last = newer.length > 0 || changes.over;
    if (!last) await changes.next(seen ?? 0);
  }
}

/** @throws request/conflict when files in between are gone */
async function newerFiles(path: string, file: LogFile, inotify: Inotify): Promise<OpenLogFile[]> {
  const all = await openCountedFiles(path, inotify);
  const index = all.findIndex(({ inode }) => inode === file.inode);
  const older = index < 0 ? [] : all.splice(0, index + 1);
  older.forEach(({ handle }) => void handle.close());
  const number = older.at(-1)?.number ?? file.number;
  const next = all[0]?.number;
  if (index >= 0 || number === undefined || next === undefined || next === number + 1) return all;
  all.forEach(({ handle }) => void handle.close());
  throw cutOff();
}

function cutOff(): TscomposeError {
  return new TscomposeError("request/conflict", "logs: the reader fell too far behind and was cut off", {
    hint: "read the stream without long pauses, or raise max-size and max-file of the container's log",
  });
}

/** Wakes a follower: the file or the directory has changed, the container has ended, the time is up, the client has gone. */
class ChangeSignal {
  readonly #stops: (() => void)[] = [];
  #count = 0;
  #wake: (() => void) | undefined;
  over = false;
  reason: "ended" | "until" | "aborted" | undefined;

  constructor(
    source: LogSource,
    untilNs: bigint | undefined,
    { inotify, signal }: { readonly inotify: Inotify; readonly signal: AbortSignal },
  ) {
    this.#stops.push(inotify.watch(dirname(source.path), IN_MODIFY | IN_MOVED_TO, () => this.#changed()));
    const onAbort = (): void => this.finish("aborted");
    signal.addEventListener("abort", onAbort, { once: true });
    this.#stops.push(() => signal.removeEventListener("abort", onAbort));
    if (signal.aborted) onAbort();
    this.#stops.push(source.onEnd(() => this.finish("ended")));
    if (untilNs !== undefined) {
      const left = Math.max(0, Number((untilNs - realtimeNs()) / 1_000_000n) + 1);
      const timer = setTimeout(() => this.finish("until"), Math.min(left, 2 ** 31 - 1));
      this.#stops.push(() => clearTimeout(timer));
    }
  }

  finish(reason: NonNullable<ChangeSignal["reason"]>): void {
    this.over = true;
    this.reason ??= reason;
    this.#changed();
  }

  /** To be taken before looking, and given to `next` after. */
  mark(): number {
    return this.#count;
  }

  /** At once when something has changed since `seen`. */
  async next(seen: number): Promise<void> {
    if (this.#count !== seen) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  stop(): void {
    for (const stop of this.#stops) stop();
  }

  #changed(): void {
    this.#count++;
    this.#wake?.();
    this.#wake = undefined;
  }
}

/** Closes the files of a reader that does not read while they are no longer kept: open they would take disk space. */
class StallWatchdog {
  readonly #files: readonly OpenLogFile[];
  readonly #timer: NodeJS.Timeout;
  #active = performance.now();
  #stalled = false;

  constructor(files: readonly OpenLogFile[]) {
    this.#files = files;
    this.#timer = setInterval(() => void this.#check(), stallMs / 4);
    this.#timer.unref();
  }

  /** The reader has taken something. */
  touch(): void {
    this.#active = performance.now();
  }

  async guard<T>(read: () => Promise<T>): Promise<T> {
    this.touch();
    if (this.#stalled) throw cutOff();
    return read();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #check(): Promise<void> {
    if (performance.now() - this.#active < stallMs) return;
    for (const { handle } of this.#files) {
      const stat = await handle.stat().catch(() => undefined);
      if (stat === undefined || stat.nlink > 0) continue;
      this.#stalled = true;
      await handle.close().catch(() => undefined);
    }
  }
}
