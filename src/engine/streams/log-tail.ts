/** Where the last n lines of a log begin, found from its end. */
import type { FileHandle } from "node:fs/promises";
import { parseHeader } from "./log-record.ts";

export interface LogPosition {
  /** Index of the file. */
  readonly file: number;
  /** Byte in it, the beginning of a record. */
  readonly offset: number;
}

const blockSize = 64 * 1024;
const newline = 0x0a;

/** `files`: oldest first. A line that was written in pieces is one line, and so is the unfinished one of each stream. */
export async function findTail(files: readonly FileHandle[], lines: number): Promise<LogPosition> {
  const counter = new LineCounter(lines);
  for (let file = files.length - 1; file >= 0; file--) {
    const handle = files[file] as FileHandle;
    const offset = await scanBackwards(handle, (line) => counter.isBeyond(line));
    if (offset !== undefined) return { file, offset };
  }
  return { file: 0, offset: 0 };
}

/** Sees the records last to first. */
class LineCounter {
  readonly #wanted: number;
  #counted = 0;
  /** Streams of which a line end or an unfinished line was counted. */
  readonly #seen = new Set<string>();

  constructor(wanted: number) {
    this.#wanted = wanted;
  }

  /** True for the record that ends a line more than was wanted. */
  isBeyond(line: Buffer): boolean {
    const header = parseHeader(line);
    if (header === undefined) return false;
    if (!header.complete && this.#seen.has(header.stream)) return false;
    this.#seen.add(header.stream);
    this.#counted++;
    return this.#counted > this.#wanted;
  }
}

/** Calls `stop` for each line, last first. @returns the byte after the line at which it was true */
async function scanBackwards(handle: FileHandle, stop: (line: Buffer) => boolean): Promise<number | undefined> {
  let end = (await handle.stat()).size;
  let tail: Buffer = Buffer.alloc(0); // the end of a line whose beginning is in an earlier block
  while (end > 0) {
    const start = Math.max(0, end - blockSize);
    const block = Buffer.alloc(end - start);
    await handle.read(block, 0, block.length, start);
    const data = Buffer.concat([block, tail]);
    let limit = data.length;
    while (limit > 0) {
      const lineEnd = data.lastIndexOf(newline, limit - 1);
      const before = lineEnd > 0 ? data.lastIndexOf(newline, lineEnd - 1) : -1;
      if (lineEnd < 0 || (before < 0 && start > 0)) break;
      if (stop(data.subarray(before + 1, lineEnd + 1))) return start + lineEnd + 1;
      limit = before + 1;
    }
    tail = data.subarray(0, limit);
    end = start;
  }
  return undefined;
}
