/** Tar archives as a stream, pushed in pieces: bytes in, entries out, nothing kept but the current header. Reads ustar, pax and
 *  GNU long names; refuses sparse files. Rules where programs differ (I-18, I-20 of security.md): as Go's archive/tar, which
 *  Docker uses: global headers do not count, links and directories have no content, what follows the end is not looked at. */
import { blockSize, emptyXattrs, type TarEntry, type TarType } from "./entry.ts";
import { broken, isZeroBlock, parseHeader, type RawHeader } from "./header.ts";
import { parsePax, type PaxOverrides } from "./pax.ts";

export interface TarHandler {
  /** Followed by `data` until `entry.size` bytes are delivered, then `end`. */
  entry(entry: TarEntry): void;
  /** Valid during the call only. */
  data(chunk: Buffer): void;
  end(): void;
}

/** Names and extended headers larger than this are refused. */
const maxExtension = 1024 * 1024;
const types: Readonly<Record<string, TarType>> = {
  "0": "file",
  "7": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "char",
  "4": "block",
  "5": "dir",
  "6": "fifo",
};
/** Which long header is being collected: pax, global pax, GNU long name, GNU long link. */
type Extension = "x" | "g" | "L" | "K";

export class TarReader {
  readonly #handler: TarHandler;
  readonly #block = Buffer.alloc(blockSize);
  #filled = 0;
  /** Content of the current entry still to come, and the padding behind it. */
  #left = 0;
  #padding = 0;
  #extension: { readonly type: Extension; readonly chunks: Buffer[] } | undefined;
  #pax: PaxOverrides = {};
  #longName: Buffer | undefined;
  #longLink: Buffer | undefined;
  #ended = false;

  constructor(handler: TarHandler) {
    this.#handler = handler;
  }

  /** @throws image/invalid */
  write(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.#ended) {
      if (this.#left > 0) {
        const piece = chunk.subarray(at, at + this.#left);
        at += piece.length;
        this.#left -= piece.length;
        this.#content(piece);
        if (this.#left === 0) this.#contentEnd();
      } else if (this.#padding > 0) {
        const skipped = Math.min(this.#padding, chunk.length - at);
        this.#padding -= skipped;
        at += skipped;
      } else {
        at = this.#fill(chunk, at);
      }
    }
  }

  /** Call at the end of the stream.
   *  @throws image/invalid when an entry or header is cut off */
  finish(): void {
    const cut = this.#left > 0 || this.#filled > 0 || this.#extension !== undefined;
    if (!this.#ended && cut) throw broken("it ends in the middle of an entry");
  }

  #fill(chunk: Buffer, at: number): number {
    if (this.#filled === 0 && chunk.length - at >= blockSize) {
      this.#header(chunk.subarray(at, at + blockSize));
      return at + blockSize;
    }
    const piece = chunk.subarray(at, at + blockSize - this.#filled);
    piece.copy(this.#block, this.#filled);
    this.#filled += piece.length;
    if (this.#filled === blockSize) {
      this.#filled = 0;
      this.#header(this.#block);
    }
    return at + piece.length;
  }

  #header(block: Buffer): void {
    if (isZeroBlock(block)) {
      this.#ended = true;
      return;
    }
    const raw = parseHeader(block);
    if (raw.type === "x" || raw.type === "g" || raw.type === "L" || raw.type === "K")
      this.#startExtension(raw, raw.type);
    else this.#startEntry(raw);
  }

  #startExtension(raw: RawHeader, type: Extension): void {
    if (raw.size < 0 || raw.size > maxExtension) throw broken("a long header is larger than 1 MiB");
    this.#extension = { type, chunks: [] };
    this.#expect(raw.size);
  }

  #startEntry(raw: RawHeader): void {
    const entry = this.#merge(raw);
    this.#pax = {};
    this.#longName = undefined;
    this.#longLink = undefined;
    this.#handler.entry(entry);
    this.#expect(entry.size);
  }

  #merge(raw: RawHeader): TarEntry {
    if (raw.type === "S") throw broken("sparse files are not accepted");
    const known = types[raw.type];
    if (known === undefined) throw broken(`an entry has the unknown type ${JSON.stringify(raw.type)}`);
    const name = this.#longName ?? this.#pax.path ?? raw.name;
    const type = known === "file" && name.at(-1) === 0x2f ? "dir" : known;
    const size = this.#pax.size ?? raw.size;
    if (size < 0) throw broken("an entry has a negative size");
    return {
      type,
      name,
      linkName: this.#longLink ?? this.#pax.linkPath ?? raw.linkName,
      mode: raw.mode & 0o7777,
      uid: this.#pax.uid ?? raw.uid,
      gid: this.#pax.gid ?? raw.gid,
      size: type === "file" || known === "file" ? size : 0,
      mtime: this.#pax.mtime ?? { sec: raw.mtime, nsec: 0 },
      device: { major: raw.major, minor: raw.minor },
      xattrs: this.#pax.xattrs ?? emptyXattrs,
    };
  }

  #expect(size: number): void {
    this.#left = size;
    this.#padding = (blockSize - (size % blockSize)) % blockSize;
    if (size === 0) this.#contentEnd();
  }

  #content(piece: Buffer): void {
    if (this.#extension === undefined) this.#handler.data(piece);
    else this.#extension.chunks.push(Buffer.from(piece));
  }

  #contentEnd(): void {
    const extension = this.#extension;
    if (extension === undefined) {
      this.#handler.end();
      return;
    }
    this.#extension = undefined;
    const content = Buffer.concat(extension.chunks);
    switch (extension.type) {
      case "x":
        this.#pax = parsePax(content);
        return;
      case "g":
        parsePax(content);
        return;
      case "L":
        this.#longName = untilNul(content);
        return;
      case "K":
        this.#longLink = untilNul(content);
        return;
    }
  }
}

function untilNul(content: Buffer): Buffer {
  const end = content.indexOf(0);
  return end < 0 ? content : content.subarray(0, end);
}
