import { describe, expect, it } from "vitest";
import { FrameReader, frame } from "../../../../src/api/buildkit/grpc/frames.ts";
import {
  GrpcError,
  decodeMessage,
  rpcStatus,
  toGrpcError,
  trailersOf,
} from "../../../../src/api/buildkit/grpc/status.ts";
import { TscomposeError } from "../../../../src/errors.ts";

describe("messages in a stream of gRPC", () => {
  it("come whole, however they are cut", () => {
    const messages = ["", "a", "b".repeat(1000)].map((text) => Buffer.from(text));
    const stream = Buffer.concat(messages.map(frame));
    for (const size of [1, 4, 5, 7, 4096]) {
      const reader = new FrameReader(1000);
      const found: string[] = [];
      for (let at = 0; at < stream.length; at += size)
        found.push(...reader.push(stream.subarray(at, at + size)).map(String));
      expect(found).toEqual(messages.map(String));
    }
  });

  it("are refused by their length before they have come, and when they are compressed", () => {
    expect(() => new FrameReader(10).push(Buffer.from([0, 0, 0, 0, 11]))).toThrow(/11 bytes is larger than the 10/);
    expect(() => new FrameReader(10).push(Buffer.from([1, 0, 0, 0, 1]))).toThrow(/compressed/);
  });
});

describe("the end of a call", () => {
  it("says nothing but its code when all is well", () => expect(trailersOf(undefined)).toEqual({ "grpc-status": "0" }));

  it("carries any text, and details in protobuf", () => {
    const trailers = trailersOf(new GrpcError(2, "100 % of\nÄ", [{ typeUrl: "x", value: Buffer.from("v") }]));
    expect(trailers["grpc-message"]).toBe("100 %25 of%0A%C3%84");
    expect(decodeMessage(trailers["grpc-message"] ?? "")).toBe("100 % of\nÄ");
    const details = rpcStatus.decode(Buffer.from(trailers["grpc-status-details-bin"] ?? "", "base64"));
    expect(details).toMatchObject({
      code: 2,
      message: "100 % of\nÄ",
      details: [{ typeUrl: "x", value: Buffer.from("v") }],
    });
  });

  it("leaves out details that no header has room for", () => {
    const large = new GrpcError(2, "m", [{ typeUrl: "x", value: Buffer.alloc(1 << 20) }]);
    expect(Object.keys(trailersOf(large))).toEqual(["grpc-status", "grpc-message"]);
  });

  it("has the code that fits the failure, and the hint with the text", () => {
    const codes = (["aborted", "request/unsupported", "request/invalid", "build/failed"] as const).map(
      (code) => toGrpcError(new TscomposeError(code, "m", { hint: "h" })).code,
    );
    expect(codes).toEqual([1, 12, 3, 2]);
    expect(toGrpcError(new TscomposeError("build/failed", "m", { hint: "h" })).message).toBe("m (h)");
  });
});
