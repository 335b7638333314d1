import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bytes,
  flag,
  integer,
  long,
  many,
  mapOf,
  message,
  one,
  text,
  texts,
  time,
} from "../../../../src/api/buildkit/protobuf.ts";
import { isTscomposeError } from "../../../../src/errors.ts";

const inner = message({ name: text(1), value: long(2) });
const outer = message({
  text: text(1),
  number: integer(2),
  bytes: bytes(3),
  on: flag(4),
  texts: texts(5),
  inner: one(6, inner),
  all: many(7, inner),
  map: mapOf(8, text),
  at: time(9),
});

describe("protobuf by tables of fields", () => {
  it("writes what protoc writes", () => {
    // protobuf.dev, "Encoding": field 1 = 150, field 2 = "testing".
    const simple = message({ a: integer(1), b: text(2) });
    expect(simple.encode({ a: 150, b: "testing" }).toString("hex")).toBe("089601120774657374696e67");
    expect(simple.encode({ a: -1 }).toString("hex")).toBe("08ffffffffffffffffff01");
  });

  it("reads what it wrote", () => {
    const value = {
      text: "héllo",
      number: 2 ** 40,
      bytes: Buffer.from([0, 255]),
      on: true,
      texts: ["a", ""],
      inner: { name: "x", value: -(2n ** 62n) },
      all: [
        { name: "a", value: 1n },
        { name: "", value: 0n },
      ],
      map: new Map([
        ["__proto__", "1"],
        ["k", ""],
      ]),
      at: 1_796_091_714_271.5,
    };
    expect(outer.decode(outer.encode(value))).toEqual(value);
    expect(outer.decode(Buffer.alloc(0))).toMatchObject({
      text: "",
      number: 0,
      on: false,
      texts: [],
      inner: undefined,
    });
  });

  it("skips fields that it does not know, of every wire type", () => {
    const unknown = Buffer.from("a801ff01" + "b1010102030405060708" + "bd0101020304" + "c20103616263", "hex");
    expect(outer.decode(Buffer.concat([unknown, outer.encode({ text: "t" })])).text).toBe("t");
  });

  it("says that bytes are no message, whatever they are", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (given) => {
        try {
          outer.decode(Buffer.from(given));
        } catch (error) {
          if (!isTscomposeError(error, "request/invalid")) throw error;
        }
      }),
      { numRuns: 500 },
    );
    for (const hex of ["0a05616263", "0aff", "0affffffffffffffffffff01", "07", "0001", "0b", "10"])
      expect(() => outer.decode(Buffer.from(hex, "hex")), hex).toThrow(/not a protobuf message/);
  });
});
