/** Which pieces of a log a client wants, and in what dress. Pure but for the state of one pass. Source: engine-api.md 3.5. */
import { formatNanoseconds, parseRfc3339 } from "../../host/clock.ts";
import type { LogOptions, OutputChunk } from "../engine.ts";
import type { LogPiece } from "./log-record.ts";

interface LineState {
  /** Within a line that has begun. */
  open: boolean;
  wanted: boolean;
}

export class LogSelection {
  readonly #options: LogOptions;
  readonly #lines: Record<LogPiece["stream"], LineState> = {
    stdout: { open: false, wanted: false },
    stderr: { open: false, wanted: false },
  };

  constructor(options: LogOptions) {
    this.#options = options;
  }

  /** What to send of a piece; undefined for one that is not wanted; "past": neither it nor any later one is. A line is taken or
   *  left as a whole, by the time of its first piece, and dated once. */
  select(piece: LogPiece): Buffer | undefined | "past" {
    const line = this.#lines[piece.stream];
    const first = !line.open;
    line.open = !piece.complete;
    if (first) {
      const verdict = this.#judge(piece);
      if (verdict === "past") return "past";
      line.wanted = verdict === "wanted" && this.#options[piece.stream];
    }
    if (!line.wanted) return undefined;
    if (!first || !this.#options.timestamps) return piece.data;
    return Buffer.concat([Buffer.from(`${utc(piece.time)} `), piece.data]);
  }

  #judge(piece: LogPiece): "wanted" | "early" | "past" {
    const { sinceNs, untilNs } = this.#options;
    if (sinceNs === undefined && untilNs === undefined) return "wanted";
    const time = parseRfc3339(piece.time) ?? 0n;
    if (untilNs !== undefined && time > untilNs) return "past";
    return sinceNs !== undefined && time < sinceNs ? "early" : "wanted";
  }
}

/** conmon writes local time with its offset; Docker writes UTC. */
function utc(time: string): string {
  if (time.length === 35 && time.endsWith("+00:00")) return `${time.slice(0, 29)}Z`;
  const ns = parseRfc3339(time);
  return ns === undefined ? time : formatNanoseconds(ns);
}

/** As large as the pieces in which Docker sends a long line. */
const chunkBytes = 16 * 1024;

/** Neighbours of one stream become one chunk: what is sent for a short line costs more than the line. */
export class ChunkJoiner {
  readonly #tty: boolean;
  #chunks: OutputChunk[] = [];
  #stream: LogPiece["stream"] = "stdout";
  #parts: Buffer[] = [];
  #size = 0;

  constructor(tty: boolean) {
    this.#tty = tty;
  }

  add(stream: LogPiece["stream"], data: Buffer): void {
    if (stream !== this.#stream || this.#size + data.length > chunkBytes) this.#close();
    this.#stream = stream;
    this.#parts.push(data);
    this.#size += data.length;
  }

  /** What was added since the last time. */
  take(): readonly OutputChunk[] {
    this.#close();
    const chunks = this.#chunks;
    this.#chunks = [];
    return chunks;
  }

  #close(): void {
    if (this.#size > 0) {
      this.#chunks.push({ stream: this.#tty ? "console" : this.#stream, data: Buffer.concat(this.#parts, this.#size) });
    }
    this.#parts = [];
    this.#size = 0;
  }
}
