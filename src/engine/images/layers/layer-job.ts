/** One layer, from its packed bytes to a directory: hash, unpack the stream, hash again, write the files, all at the same time
 *  and in one pass. Nothing is to be used before both digests were compared, which is the last thing done here. */
import { createHash } from "node:crypto";
import { closeSync, constants, createReadStream, openSync, writeSync } from "node:fs";
import { TscomposeError } from "../../../errors.ts";
import { O_DIRECTORY } from "../../../host/libc.ts";
import { SniffingDecoder } from "../decoder.ts";
import { algorithmOf, hexOf } from "../digest.ts";
import type { Compression } from "../media-types.ts";
import { TarReader } from "../tar/reader.ts";
import { defaultLimits, type LayerLimits } from "./limits.ts";
import { Unpacker } from "./unpacker.ts";

/** Plain data: it goes to another thread. */
export interface LayerJob {
  /** Empty directory to write into; undefined: only check. */
  readonly dir: string;
  /** Where the packed bytes come from: a file, or pushed by the caller, then also kept in `keepAs` where that is given. */
  readonly source:
    { readonly kind: "file"; readonly path: string } | { readonly kind: "pushed"; readonly keepAs: string | undefined };
  /** Of the packed bytes; undefined: not known. */
  readonly digest: string | undefined;
  readonly size: number | undefined;
  /** Of the unpacked tar; undefined: not known, it is taken from the result. */
  readonly diffId: string | undefined;
  readonly limits?: LayerLimits;
}
export interface LayerResult {
  readonly digest: string;
  readonly size: number;
  readonly diffId: string;
  readonly compression: Compression;
  /** Bytes of regular files. */
  readonly sizeBytes: number;
  readonly tarBytes: number;
  readonly impliedDirs: readonly string[];
}

/** @throws image/digest-mismatch naming both digests; image/invalid; host/no-space. The directory then holds a part: the caller removes it. */
export async function runLayerJob(job: LayerJob, pushed?: AsyncIterable<Buffer>): Promise<LayerResult> {
  const source = job.source.kind === "file" ? createReadStream(job.source.path, { highWaterMark: 1 << 18 }) : pushed;
  if (source === undefined) throw new Error("a pushed layer without a stream");
  const rootFd = openSync(job.dir, constants.O_RDONLY | O_DIRECTORY);
  const keepAs = job.source.kind === "pushed" ? job.source.keepAs : undefined;
  const keepFd = keepAs === undefined ? undefined : openSync(keepAs, "wx", 0o600);
  const unpacker = new Unpacker(rootFd, job.limits ?? defaultLimits);
  const unpacked = new UnpackedSide(new TarReader(unpacker), job);
  const decoder = new SniffingDecoder((chunk) => unpacked.write(chunk));
  const packed = new PackedSide(job, keepFd);
  try {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      packed.write(chunk);
      unpacked.packedBytes = packed.size;
      const wait = decoder.write(chunk);
      if (wait !== undefined) await wait;
    }
    const digest = packed.finish();
    await decoder.end();
    const diffId = unpacked.finish();
    const { sizeBytes, impliedDirs } = unpacker.finish();
    const compression = decoder.compression ?? "none";
    return { digest, size: packed.size, diffId, compression, sizeBytes, tarBytes: unpacked.size, impliedDirs };
  } finally {
    decoder.close();
    unpacker.close();
    closeSync(rootFd);
    if (keepFd !== undefined) closeSync(keepFd);
  }
}

class PackedSide {
  readonly #job: LayerJob;
  readonly #keepFd: number | undefined;
  readonly #hash;
  size = 0;

  constructor(job: LayerJob, keepFd: number | undefined) {
    this.#job = job;
    this.#keepFd = keepFd;
    this.#hash = createHash(algorithmOf(job.digest ?? ""));
  }

  write(chunk: Buffer): void {
    this.size += chunk.length;
    const { size, digest } = this.#job;
    if (size !== undefined && this.size > size) throw wrongSize(digest, size, "more");
    this.#hash.update(chunk);
    if (this.#keepFd !== undefined) {
      for (let done = 0; done < chunk.length;) done += writeSync(this.#keepFd, chunk, done);
    }
  }

  finish(): string {
    const { size, digest } = this.#job;
    if (size !== undefined && this.size < size) throw wrongSize(digest, size, `only ${this.size}`);
    const found = `${algorithmOf(digest ?? "")}:${this.#hash.digest("hex")}`;
    if (digest !== undefined && digest !== found) throw mismatch("layer", digest, found);
    return found;
  }
}

class UnpackedSide {
  readonly #tar: TarReader;
  readonly #limits: LayerLimits;
  readonly #expected: string | undefined;
  readonly #hash;
  size = 0;
  packedBytes = 0;

  constructor(tar: TarReader, job: LayerJob) {
    this.#tar = tar;
    this.#limits = job.limits ?? defaultLimits;
    this.#expected = job.diffId;
    this.#hash = createHash(algorithmOf(job.diffId ?? ""));
  }

  write(chunk: Buffer): void {
    this.size += chunk.length;
    const { maxBytes, maxRatio, ratioFloorBytes } = this.#limits;
    const bomb = this.size > ratioFloorBytes && this.size > this.packedBytes * maxRatio;
    if (bomb || this.size > maxBytes) {
      throw new TscomposeError("image/invalid", `layer unpacks to more than is accepted (${this.size} bytes so far)`);
    }
    this.#hash.update(chunk);
    this.#tar.write(chunk);
  }

  finish(): string {
    this.#tar.finish();
    const found = `${algorithmOf(this.#expected ?? "")}:${this.#hash.digest("hex")}`;
    if (this.#expected !== undefined && this.#expected !== found)
      throw mismatch("unpacked layer", this.#expected, found);
    return found;
  }
}

function wrongSize(digest: string | undefined, size: number, got: string): TscomposeError {
  const name = digest === undefined ? "layer" : `layer sha256:${hexOf(digest).slice(0, 12)}`;
  return new TscomposeError("image/digest-mismatch", `${name} should have ${size} bytes but has ${got}`, {
    hint: "pull again; if it stays so, the registry holds a broken image",
  });
}

export function mismatch(what: string, expected: string, found: string): TscomposeError {
  return new TscomposeError(
    "image/digest-mismatch",
    `${what} does not match its digest: expected ${expected}, got ${found}`,
    {
      hint: "pull again; if it stays so, the registry holds a broken image",
      details: { expected, found },
    },
  );
}
