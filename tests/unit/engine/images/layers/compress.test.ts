/** Layers packed for a push: what comes out unpacks to what went in, by either library, and can be read while it grows. */
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { GrowingFile } from "../../../../../src/engine/images/growing-file.ts";
import { compressTo } from "../../../../../src/engine/images/layers/compress.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "compress-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Five pieces and a bit: text, then noise that does not get smaller, handed over in one buffer that is used again and again. */
const content = Buffer.concat([
  Buffer.from("the same line again and again\n".repeat(100_000)),
  randomBytes(2_300_000),
  Buffer.alloc(7),
]);
async function* handedOver(bytes = content): AsyncGenerator<Buffer> {
  const buffer = Buffer.alloc(100_003);
  for (let at = 0; at < bytes.length; at += buffer.length) {
    yield buffer.subarray(0, bytes.copy(buffer, 0, at, Math.min(bytes.length, at + buffer.length)));
    await new Promise((resolve) => setImmediate(resolve));
  }
}
const signal = new AbortController().signal;

test.each(["fastest", "zlib"] as const)(
  "packed by %s it unpacks to what it was, twice to the same bytes",
  async (deflate) => {
    const packed = [];
    for (const name of ["a", "b"]) {
      const file = new GrowingFile(join(dir, name));
      packed.push(await compressTo(file, handedOver(), { signal, deflate }));
      expect(gunzipSync(readFileSync(file.path)).equals(content)).toBe(true);
    }
    const bytes = readFileSync(join(dir, "a"));
    expect(packed[0]).toEqual({
      digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}`,
      size: bytes.length,
    });
    expect(packed[1]).toEqual(packed[0]);
  },
);

test("a reader that begins with the first byte gets all of it", async () => {
  const file = new GrowingFile(join(dir, "grows"));
  const read = async (): Promise<Buffer> => {
    const pieces: Buffer[] = [];
    for await (const piece of file.read()) pieces.push(Buffer.from(piece));
    return Buffer.concat(pieces);
  };
  const [seen] = await Promise.all([read(), compressTo(file, handedOver(), { signal })]);
  expect(seen.equals(readFileSync(file.path))).toBe(true);
});

test("a tar that breaks off is an error to the reader too, not a shorter file", async () => {
  async function* broken(): AsyncGenerator<Buffer> {
    yield* handedOver(content.subarray(0, 3_000_000));
    throw new Error("it changed while it was read");
  }
  const file = new GrowingFile(join(dir, "broken"));
  const read = async (): Promise<void> => {
    for await (const _ of file.read());
  };
  const results = await Promise.allSettled([read(), compressTo(file, broken(), { signal })]);
  expect(results.map((result) => (result.status === "rejected" ? String(result.reason) : "no error"))).toEqual([
    "Error: it changed while it was read",
    "Error: it changed while it was read",
  ]);
});

test("an empty tar is an empty file", async () => {
  const file = new GrowingFile(join(dir, "empty"));
  expect(await compressTo(file, handedOver(Buffer.alloc(0)), { signal })).toMatchObject({ size: 0 });
});
