import { describe, expect, it } from "vitest";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { SniffingDecoder } from "../../../../src/engine/images/decoder.ts";
import { createIsalGunzip } from "../../../../src/host/isal.ts";

async function unpackWith(gunzip: "fastest" | "zlib", packed: Buffer, pieceBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const decoder = new SniffingDecoder((chunk) => chunks.push(Buffer.from(chunk)), gunzip);
  try {
    for (let at = 0; at < packed.length; at += pieceBytes) await decoder.write(packed.subarray(at, at + pieceBytes));
    await decoder.end();
  } finally {
    decoder.close();
  }
  return Buffer.concat(chunks);
}

const text = Buffer.from("a line that repeats itself with small changes 0123456789\n".repeat(40_000));
const noise = randomBytes(1_500_000);
const mixed = Buffer.concat([text, noise, text]);

describe.each(["fastest", "zlib"] as const)("the decoder of layers with the %s gunzip", (gunzip) => {
  const unpack = (packed: Buffer, pieceBytes: number): Promise<Buffer> => unpackWith(gunzip, packed, pieceBytes);

  it.each([1 << 20, 65_536, 4096, 1021])("unpacks gzip of any level that comes in pieces of %i bytes", async (size) => {
    for (const level of [0, 1, 6, 9]) expect((await unpack(gzipSync(mixed, { level }), size)).equals(mixed)).toBe(true);
  });

  it("unpacks a stream that comes byte by byte", async () => {
    const short = mixed.subarray(text.length - 3000, text.length + 3000);
    expect((await unpack(gzipSync(short), 1)).equals(short)).toBe(true);
  });

  it.each([100_000, 3000, 7])("takes several members as one stream, in pieces of %i bytes", async (size) => {
    const parts = [text.subarray(0, 20_000), noise.subarray(0, 20_000), Buffer.alloc(0), text.subarray(0, 10)];
    const packed = Buffer.concat(parts.map((part) => gzipSync(part)));
    expect((await unpack(packed, size)).equals(Buffer.concat(parts))).toBe(true);
  });

  it("takes no notice of zeros behind the last member", async () => {
    const packed = Buffer.concat([gzipSync(text), Buffer.alloc(5000)]);
    expect((await unpack(packed, 4096)).equals(text)).toBe(true);
  });

  it("reads a header with a file name, as gzip writes it", async () => {
    const named = execFileSync("gzip", ["-c", "--name", new URL(import.meta.url).pathname], { maxBuffer: 1 << 24 });
    expect((await unpack(named, 5)).toString()).toContain("as gzip writes it");
  });

  it.each([1, 9, 1000, 300_000])("refuses a gzip stream that lacks its last %i bytes", async (missing) => {
    const packed = gzipSync(mixed);
    await expect(unpack(packed.subarray(0, packed.length - missing), 65_536)).rejects.toThrow(/gzip stream is broken/);
  });

  it("refuses a checksum that is wrong, and what is no gzip behind the first member", async () => {
    const damaged = gzipSync(mixed);
    damaged.writeUInt32LE((damaged.readUInt32LE(damaged.length - 8) ^ 1) >>> 0, damaged.length - 8);
    await expect(unpack(damaged, 65_536)).rejects.toThrow(/gzip stream is broken: incorrect data check/);
    const trailed = Buffer.concat([gzipSync(text), Buffer.from("not a member of anything")]);
    await expect(unpack(trailed, 65_536)).rejects.toThrow(/gzip stream is broken: incorrect header check/);
  });

  it("never does more than fail for streams with flipped bits", async () => {
    const good = gzipSync(text.subarray(0, 50_000));
    for (let i = 0; i < 400; i++) {
      const bad = Buffer.from(good);
      const at = 10 + ((i * 7919) % (bad.length - 10));
      bad[at] = (bad[at] ?? 0) ^ (1 << (i % 8));
      await expect(unpack(bad, 1000)).rejects.toThrow(/gzip stream is broken/);
    }
  });

  it("stops at what the sink throws", async () => {
    const decoder = new SniffingDecoder(() => {
      throw new Error("enough");
    }, gunzip);
    const packed = gzipSync(mixed);
    await expect(
      (async () => {
        await decoder.write(packed.subarray(0, 400_000));
        await decoder.write(packed.subarray(400_000));
        await decoder.end();
      })(),
    ).rejects.toThrow("enough");
  });
});

describe("ISA-L", () => {
  it.skipIf(createIsalGunzip() === undefined)("is used where it is installed", async () => {
    const gunzip = createIsalGunzip();
    gunzip?.feed(gzipSync(Buffer.from("hello")));
    expect((await gunzip?.step())?.toString()).toBe("hello");
    expect(gunzip?.complete).toBe(true);
  });
});
