/** conmon's log lines -> pieces of output. Pure. A line is `<RFC 3339 with ns> <stream> <F|P> <text>`; P has no end of line of its
 *  own and is continued by the next one of its stream. Source: conmon, ctr_logging.c; Kubernetes CRI log format. */

export interface LogPiece {
  readonly stream: "stdout" | "stderr";
  /** As written: `2026-11-21T09:50:30.573234437+00:00`. */
  readonly time: string;
  /** With its line end, where it has one. */
  readonly data: Buffer;
  /** The line ends here. */
  readonly complete: boolean;
}

const newline = 0x0a;
const space = 0x20;
/** No record of conmon is longer; a longer "line" is the rest of a damaged file. */
const maxLine = 1024 * 1024;

/** Cuts a byte stream into records, keeping an unfinished one for the next chunk. */
export class LogParser {
  #rest: Buffer = Buffer.alloc(0);

  /** Lines that are not records are passed over: a power cut may leave one. */
  *feed(chunk: Buffer): Generator<LogPiece, void, undefined> {
    const data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let start = 0;
    for (let end = data.indexOf(newline); end >= 0; end = data.indexOf(newline, start)) {
      const piece = parseRecord(data.subarray(start, end + 1));
      start = end + 1;
      if (piece !== undefined) yield piece;
    }
    const rest = data.subarray(start);
    this.#rest = rest.length > maxLine ? Buffer.alloc(0) : rest;
  }

  /** Bytes of a record that is not complete yet. */
  get pending(): number {
    return this.#rest.length;
  }
}

/** `line`: one whole line with its end. */
export function parseRecord(line: Buffer): LogPiece | undefined {
  const header = parseHeader(line);
  if (header === undefined) return undefined;
  const { complete, stream, text } = header;
  const data = line.subarray(text, complete ? line.length : line.length - 1);
  return { stream, complete, data, time: line.toString("latin1", 0, header.timeEnd) };
}

/** Where the parts of a record are. */
export function parseHeader(line: Buffer):
  | {
      readonly timeEnd: number;
      readonly stream: "stdout" | "stderr";
      readonly complete: boolean;
      readonly text: number;
    }
  | undefined {
  const timeEnd = line.indexOf(space);
  // "stdout" and "stderr" have six letters: <time> SP <six> SP <tag> SP
  const tag = timeEnd + 8;
  if (timeEnd < 20 || tag + 1 >= line.length || line[tag - 1] !== space || line[tag + 1] !== space) return undefined;
  const name = line.toString("latin1", timeEnd + 1, tag - 1);
  if (name !== "stdout" && name !== "stderr") return undefined;
  if (line[tag] !== 0x46 && line[tag] !== 0x50) return undefined;
  return { timeEnd, stream: name, complete: line[tag] === 0x46, text: tag + 2 };
}
