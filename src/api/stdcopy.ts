/** The frames that keep stdout and stderr apart on one connection: type, three zeros, length (u32 BE), payload. Pure.
 *  Source: Docker Engine API, "Stream format" of container attach. */
import { TscomposeError } from "../errors.ts";

export type FrameStream = "stdin" | "stdout" | "stderr" | "error";
export interface Frame {
  readonly stream: FrameStream;
  readonly data: Buffer;
}

const headerSize = 8;
const streams: readonly FrameStream[] = ["stdin", "stdout", "stderr", "error"];

/** Header and payload as one buffer. `stream` "error": a message of the server about the stream itself. */
export function encodeFrame(stream: FrameStream, data: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(headerSize + data.length);
  frame.writeUInt32BE(streams.indexOf(stream) * 0x1000000, 0);
  frame.writeUInt32BE(data.length, 4);
  data.copy(frame, headerSize);
  return frame;
}

/** A decoder with memory: give it chunks as they come. It gives payload as it arrives, so a frame cut by chunks comes in
 *  several pieces and nothing is held back. @throws engine/api for bytes that are not a frame. */
export function createFrameDecoder(): (chunk: Buffer) => Frame[] {
  let header = Buffer.alloc(0);
  let current: FrameStream = "stdout";
  let missing = 0;
  return (chunk) => {
    const frames: Frame[] = [];
    let rest = chunk;
    while (rest.length > 0) {
      if (missing > 0) {
        const data = rest.subarray(0, missing);
        frames.push({ stream: current, data });
        missing -= data.length;
        rest = rest.subarray(data.length);
        continue;
      }
      const wanted = headerSize - header.length;
      header = Buffer.concat([header, rest.subarray(0, wanted)]);
      rest = rest.subarray(wanted);
      if (header.length < headerSize) break;
      current = streamOf(header);
      missing = header.readUInt32BE(4);
      header = Buffer.alloc(0);
    }
    return frames;
  };
}

function streamOf(header: Buffer): FrameStream {
  const stream = streams[header[0] ?? 255];
  if (stream === undefined || header[1] !== 0 || header[2] !== 0 || header[3] !== 0) {
    throw new TscomposeError("engine/api", `not a frame of a multiplexed stream: ${header.toString("hex")}`);
  }
  return stream;
}
