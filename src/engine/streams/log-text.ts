/** conmon's log -> what a client wants to see of it. In: blocks of a log file. Out: chunks of text. conmon dates what it reads at
 *  once only once, so a flood is many short records under one header: that is understood once. Pure but for the state of one pass.
 *  Source: conmon, ctr_logging.c; engine-api.md 3.5. */
import { formatNanoseconds, parseRfc3339 } from "../../host/clock.ts";
import type { LogOptions, OutputChunk } from "../engine.ts";
import { parseHeader } from "./log-record.ts";

const newline = 0x0a;
/** No record of conmon is longer; a longer "line" is the rest of a damaged file. */
const maxLine = 1024 * 1024;
const chunkBytes = 64 * 1024;

interface LineState {
  /** Within a line that has begun. */
  open: boolean;
  wanted: boolean;
}

interface Header {
  /** Its bytes, up to the text. */
  readonly bytes: Buffer;
  readonly stream: "stdout" | "stderr";
  /** The line ends with this record. */
  readonly complete: boolean;
  readonly verdict: "wanted" | "early" | "past";
  /** What a line that begins here is dated with. */
  readonly date: Buffer;
}

export class LogText {
  readonly #options: LogOptions;
  readonly #tty: boolean;
  readonly #lines: Record<Header["stream"], LineState> = {
    stdout: { open: false, wanted: false },
    stderr: { open: false, wanted: false },
  };
  #rest: Buffer = Buffer.alloc(0);
  #header: Header | undefined;
  #past = false;

  constructor(options: LogOptions, tty: boolean) {
    this.#options = options;
    this.#tty = tty;
  }

  /** No later record is wanted. */
  get past(): boolean {
    return this.#past;
  }

  /** Call before the first block of another file: an unfinished record is not continued there. */
  nextFile(): void {
    this.#rest = Buffer.alloc(0);
  }

  /** What to send of a block, which is not kept. Lines that are not records are passed over: a power cut may leave one. A line is
   *  taken or left as a whole, by the time of its first record, and dated once. Neighbours of one stream become one chunk. */
  read(block: Buffer): readonly OutputChunk[] {
    const data = this.#rest.length === 0 ? block : Buffer.concat([this.#rest, block]);
    const end = data.lastIndexOf(newline) + 1;
    this.#rest = data.length - end > maxLine ? Buffer.alloc(0) : Buffer.from(data.subarray(end));
    const output = new Output(end, this.#tty);
    for (let position = 0; position < end && !this.#past;) {
      const header = this.#headerAt(data, position);
      position =
        header !== undefined && this.#wants(header, output)
          ? output.copyText(data, position + header.bytes.length, header.complete)
          : data.indexOf(newline, position) + 1;
    }
    return output.take();
  }

  #headerAt(data: Buffer, position: number): Header | undefined {
    const last = this.#header;
    if (last !== undefined && startsWith(data, position, last.bytes)) return last;
    const line = data.subarray(position, data.indexOf(newline, position) + 1);
    const parts = parseHeader(line);
    if (parts === undefined) return undefined;
    const time = line.toString("latin1", 0, parts.timeEnd);
    const header: Header = {
      bytes: Buffer.from(line.subarray(0, parts.text)),
      stream: parts.stream,
      complete: parts.complete,
      verdict: this.#judge(time),
      date: this.#options.timestamps ? Buffer.from(`${utc(time)} `) : Buffer.alloc(0),
    };
    this.#header = header;
    return header;
  }

  #wants(header: Header, output: Output): boolean {
    const line = this.#lines[header.stream];
    const first = !line.open;
    line.open = !header.complete;
    if (!first) {
      if (line.wanted) output.turnTo(header.stream);
      return line.wanted;
    }
    this.#past = header.verdict === "past";
    line.wanted = header.verdict === "wanted" && this.#options[header.stream];
    if (!line.wanted) return false;
    output.turnTo(header.stream);
    output.copy(header.date);
    return true;
  }

  #judge(time: string): Header["verdict"] {
    const { sinceNs, untilNs } = this.#options;
    if (sinceNs === undefined && untilNs === undefined) return "wanted";
    const ns = parseRfc3339(time) ?? 0n;
    if (untilNs !== undefined && ns > untilNs) return "past";
    return sinceNs !== undefined && ns < sinceNs ? "early" : "wanted";
  }
}

/** conmon writes local time with its offset; Docker writes UTC. */
function utc(time: string): string {
  if (time.length === 35 && time.endsWith("+00:00")) return `${time.slice(0, 29)}Z`;
  const ns = parseRfc3339(time);
  return ns === undefined ? time : formatNanoseconds(ns);
}

function startsWith(data: Buffer, position: number, bytes: Buffer): boolean {
  // The date is the same for a while, and differs at its end.
  for (let i = bytes.length - 1; i >= 0; i--) if (data[position + i] !== bytes[i]) return false;
  return true;
}

/** Text as it is gathered for one block. Bytes are copied one by one: for lines of common length a call costs more than the line. */
class Output {
  readonly #tty: boolean;
  readonly #bytes: Buffer;
  readonly #chunks: OutputChunk[] = [];
  #stream: Header["stream"] = "stdout";
  #begin = 0;
  #end = 0;

  /** `size`: of the records to come. A date may be longer than the shortest header by a byte. */
  constructor(size: number, tty: boolean) {
    this.#tty = tty;
    this.#bytes = Buffer.allocUnsafe(size + (size >> 4));
  }

  turnTo(stream: Header["stream"]): void {
    if (stream !== this.#stream || this.#end - this.#begin >= chunkBytes) this.#close();
    this.#stream = stream;
  }

  copy(bytes: Buffer): void {
    for (let i = 0; i < bytes.length; i++) this.#bytes[this.#end++] = bytes[i] as number;
  }

  /** From `position` to the end of the line. @returns where the next line begins */
  copyText(data: Buffer, position: number, withLineEnd: boolean): number {
    const target = this.#bytes;
    let [from, to] = [position, this.#end];
    for (;;) {
      const byte = data[from++] as number;
      if (byte === newline) break;
      target[to++] = byte;
    }
    if (withLineEnd) target[to++] = newline;
    this.#end = to;
    return from;
  }

  take(): readonly OutputChunk[] {
    this.#close();
    return this.#chunks;
  }

  #close(): void {
    if (this.#end > this.#begin) {
      const data = this.#bytes.subarray(this.#begin, this.#end);
      this.#chunks.push({ stream: this.#tty ? "console" : this.#stream, data });
    }
    this.#begin = this.#end;
  }
}
