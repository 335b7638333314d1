/** Readers for the streams of the API: lines, JSON lines, frames. */
import type { Readable } from "node:stream";
import { createFrameDecoder } from "../api/stdcopy.ts";
import { TscomposeError } from "../errors.ts";

export interface OutputPiece {
  readonly stream: "stdout" | "stderr";
  readonly data: Buffer;
}

const isAborted = (signal: AbortSignal | undefined): boolean => signal?.aborted === true;

/** The bytes of a stream. Ends quietly when `signal` fires; destroys the stream when the consumer leaves early. */
export async function* readBytes(stream: Readable, signal?: AbortSignal): AsyncGenerator<Buffer, void, void> {
  const stop = (): void => void stream.destroy();
  if (isAborted(signal)) return stop();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    for await (const chunk of stream) yield chunk as Buffer;
  } catch (error) {
    if (!isAborted(signal)) throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
    stream.destroy();
  }
}

/** Lines without their ends; a last one without an end counts, empty ones do not. At most 16 MiB a line. */
export async function* readLines(stream: Readable, signal?: AbortSignal): AsyncGenerator<string, void, void> {
  let pending: Buffer[] = [];
  let size = 0;
  for await (const chunk of readBytes(stream, signal)) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      const line = Buffer.concat([...pending, chunk.subarray(start, end)])
        .toString("utf8")
        .trimEnd();
      [pending, size, start] = [[], 0, end + 1];
      if (line !== "") yield line;
    }
    pending.push(chunk.subarray(start));
    size += chunk.length - start;
    if (size > 16 * 1024 * 1024) throw new TscomposeError("engine/api", "the engine sent a line of more than 16 MiB");
  }
  const rest = Buffer.concat(pending).toString("utf8").trimEnd();
  if (rest !== "") yield rest;
}

/** One value a line. `timeNano` comes as a decimal string, for it does not fit a number. */
export async function* readJsonLines<T>(stream: Readable, signal?: AbortSignal): AsyncGenerator<T, void, void> {
  for await (const line of readLines(stream, signal)) {
    try {
      yield JSON.parse(line.replace(/"timeNano":(\d+)/, '"timeNano":"$1"')) as T;
    } catch (error) {
      throw new TscomposeError("engine/api", `the engine sent a line that is not JSON: ${line.slice(0, 200)}`, {
        cause: error,
      });
    }
  }
}

/** The frames of logs, attach and exec without a tty, as pieces of stdout and stderr.
 *  @throws engine/failed for a frame that carries an error of the server. */
export async function* demux(stream: Readable, signal?: AbortSignal): AsyncGenerator<OutputPiece, void, void> {
  const decode = createFrameDecoder();
  for await (const chunk of readBytes(stream, signal)) {
    for (const frame of decode(chunk)) {
      if (frame.stream === "error") throw new TscomposeError("engine/failed", frame.data.toString("utf8").trim());
      if (frame.stream !== "stdin") yield { stream: frame.stream, data: frame.data };
    }
  }
}
