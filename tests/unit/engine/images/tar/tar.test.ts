import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TarEntry, TarType } from "../../../../../src/engine/images/tar/entry.ts";
import { parsePax, parseTime } from "../../../../../src/engine/images/tar/pax.ts";
import { TarReader } from "../../../../../src/engine/images/tar/reader.ts";
import { encodeHeader, endOfArchive, padding } from "../../../../../src/engine/images/tar/writer.ts";

interface Read {
  readonly entry: TarEntry;
  readonly content: Buffer;
}

function readTar(archive: Buffer, chunkSize: number): Read[] {
  const found: { entry: TarEntry; chunks: Buffer[] }[] = [];
  const reader = new TarReader({
    entry: (entry) => found.push({ entry, chunks: [] }),
    data: (chunk) => found.at(-1)?.chunks.push(Buffer.from(chunk)),
    end: () => undefined,
  });
  for (let at = 0; at < archive.length; at += chunkSize) reader.write(archive.subarray(at, at + chunkSize));
  reader.finish();
  return found.map(({ entry, chunks }) => ({ entry, content: Buffer.concat(chunks) }));
}

const nameArbitrary = fc
  .uint8Array({ minLength: 1, maxLength: 400 })
  .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x61 : byte))));
const entryArbitrary: fc.Arbitrary<Read> = fc
  .record({
    name: nameArbitrary,
    type: fc.constantFrom<TarType>("file", "dir", "symlink", "hardlink", "char", "fifo"),
    content: fc.uint8Array({ maxLength: 1500 }).map((bytes) => Buffer.from(bytes)),
    linkName: nameArbitrary,
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.integer({ min: 0, max: 2 ** 32 - 2 }),
    gid: fc.integer({ min: 0, max: 2 ** 32 - 2 }),
    sec: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    nsec: fc.integer({ min: 0, max: 999_999_999 }),
    xattrs: fc.dictionary(fc.constantFrom("user.a", "user.b", "security.capability"), fc.uint8Array({ maxLength: 40 })),
  })
  .map((made) => {
    const content = made.type === "file" ? made.content : Buffer.alloc(0);
    const isLink = made.type === "symlink" || made.type === "hardlink";
    const entry: TarEntry = {
      type: made.type,
      name: made.name,
      linkName: isLink ? made.linkName : Buffer.alloc(0),
      mode: made.mode,
      uid: made.uid,
      gid: made.gid,
      size: content.length,
      mtime: { sec: made.sec, nsec: made.nsec },
      device: made.type === "char" ? { major: 10, minor: 200 } : { major: 0, minor: 0 },
      xattrs: new Map(Object.entries(made.xattrs).map(([key, value]) => [key, Buffer.from(value)])),
    };
    return { entry, content };
  });

describe("what is written is read again", () => {
  test("whatever the entries and however the bytes are cut", () => {
    fc.assert(
      fc.property(
        fc.array(entryArbitrary, { maxLength: 6 }),
        fc.integer({ min: 1, max: 2000 }),
        (entries, chunkSize) => {
          const parts = entries.flatMap(({ entry, content }) => [
            encodeHeader(entry),
            content,
            padding(content.length),
          ]);
          expect(readTar(Buffer.concat([...parts, endOfArchive]), chunkSize)).toEqual(entries);
        },
      ),
      { numRuns: 150 },
    );
  });

  test("arbitrary bytes are refused or read, and nothing else happens", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4000 }), (bytes) => {
        try {
          readTar(Buffer.from(bytes), 512);
        } catch (error) {
          expect(error).toMatchObject({ code: "image/invalid" });
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe("pax headers", () => {
  const record = (text: string): Buffer => {
    for (let length = text.length; ; length++) {
      const made = `${length} ${text}`;
      if (made.length === length) return Buffer.from(made);
    }
  };

  test("the last of a key wins, and an empty value takes it away", () => {
    expect(parsePax(Buffer.concat([record("path=a\n"), record("path=b\n")])).path).toEqual(Buffer.from("b"));
    expect(parsePax(Buffer.concat([record("path=a\n"), record("path=\n")])).path).toBeUndefined();
  });

  test.each(["GNU.sparse.major=1\n", "size=-1\n", "size=9007199254740993\n", "path=a\0b\n", "mtime=x\n"])(
    "%j is refused",
    (text) => expect(() => parsePax(record(text))).toThrow("tar archive is broken"),
  );

  test.each(["", "5 a=b", "99 path=a\n", "0 \n", "6 a=b\n\n", "path=a\n"].slice(1))(
    "a record that does not fit its length is refused: %j",
    (text) => expect(() => parsePax(Buffer.from(text))).toThrow("tar archive is broken"),
  );

  test("times before 1970 count down", () => {
    expect(parseTime("-1.25")).toEqual({ sec: -2, nsec: 750_000_000 });
    expect(parseTime("1700000000.000000001")).toEqual({ sec: 1_700_000_000, nsec: 1 });
  });
});
