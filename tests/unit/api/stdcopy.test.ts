import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createFrameDecoder, encodeFrame } from "../../../src/api/stdcopy.ts";
import type { FrameStream } from "../../../src/api/stdcopy.ts";

const streams = fc.constantFrom<FrameStream>("stdin", "stdout", "stderr", "error");

describe("frames", () => {
  it("are type, three zeros, length and payload", () => {
    expect(encodeFrame("stderr", Buffer.from("bad\n")).toString("hex")).toBe("02000000000000046261640a");
  });

  it("come back whole, however the bytes were cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(streams, fc.uint8Array({ minLength: 1, maxLength: 40 }))),
        fc.integer({ min: 1, max: 17 }),
        (frames, step) => {
          const bytes = Buffer.concat(frames.map(([stream, data]) => encodeFrame(stream, Buffer.from(data))));
          const decode = createFrameDecoder();
          const decoded: string[] = [];
          for (let start = 0; start < bytes.length; start += step) {
            for (const { stream, data } of decode(bytes.subarray(start, start + step))) {
              decoded.push(...[...data].map((byte) => `${stream} ${byte}`));
            }
          }
          expect(decoded).toEqual(frames.flatMap(([stream, data]) => [...data].map((byte) => `${stream} ${byte}`)));
        },
      ),
    );
  });

  it("are refused when they are not frames", () => {
    expect(() => createFrameDecoder()(Buffer.from("plain text"))).toThrow(/not a frame/);
  });
});
