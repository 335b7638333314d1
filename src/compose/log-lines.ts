import type { Readable } from "node:stream";

import { demux } from "../client/docker.ts";

/** One line of output, without its end. */
export interface OutputLine {
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

/** Cuts a stream of the engine into lines; a last one without an end counts. `tty`: raw bytes, of which all is stdout. */
export async function* outputLines(
  source: Readable,
  { tty, signal }: { readonly tty: boolean; readonly signal: AbortSignal },
): AsyncGenerator<OutputLine, void, void> {
  const splitters = { stdout: createSplitter(), stderr: createSplitter() };
  for await (const { stream, data } of tty ? rawPieces(source, signal) : demux(source, signal)) {
    for (const text of splitters[stream].add(data)) yield { stream, text };
  }
  for (const stream of ["stdout", "stderr"] as const) {
    for (const text of splitters[stream].end()) yield { stream, text };
  }
}

async function* rawPieces(
  source: Readable,
  signal: AbortSignal,
): AsyncGenerator<{ readonly stream: "stdout"; readonly data: Buffer }, void, void> {
  const stop = (): void => void source.destroy();
  signal.addEventListener("abort", stop, { once: true });
  try {
    for await (const data of source) yield { stream: "stdout", data: data as Buffer };
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** A line that goes on for ever is handed out in parts. */
const longestLine = 1024 * 1024;

interface Splitter {
  add(data: Buffer): readonly string[];
  end(): readonly string[];
}

function createSplitter(): Splitter {
  let rest: Buffer = Buffer.alloc(0);
  return {
    add: (data) => {
      const lines: string[] = [];
      let bytes = rest.length === 0 ? data : Buffer.concat([rest, data]);
      for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10)) {
        lines.push(textOf(bytes.subarray(0, end)));
        bytes = bytes.subarray(end + 1);
      }
      if (bytes.length > longestLine) {
        lines.push(textOf(bytes));
        bytes = Buffer.alloc(0);
      }
      rest = bytes;
      return lines;
    },
    end: () => (rest.length === 0 ? [] : [textOf(rest)]),
  };
}

function textOf(line: Buffer): string {
  const end = line.at(-1) === 13 ? line.length - 1 : line.length;
  return line.toString("utf8", 0, end);
}
