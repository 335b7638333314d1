/** Content-addressed files: `<dir>/blobs/<algorithm>/<hex>`, the layout of an OCI image folder. A name holds exactly the bytes it
 *  names: content is written elsewhere, checked, then renamed into place. */
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { TscomposeError } from "../../errors.ts";
import { algorithmOf, digestOf, hexOf } from "./digest.ts";
import { mismatch } from "./layers/layer-job.ts";
import type { StagingArea } from "./staging.ts";

export class BlobStore {
  readonly #dir: string;
  readonly #staging: StagingArea;

  constructor(dir: string, staging: StagingArea) {
    this.#dir = dir;
    this.#staging = staging;
    for (const algorithm of ["sha256", "sha512"])
      mkdirSync(join(dir, "blobs", algorithm), { recursive: true, mode: 0o700 });
    const marker = join(dir, "oci-layout");
    if (!existsSync(marker)) writeFileSync(marker, '{"imageLayoutVersion":"1.0.0"}');
  }

  path(digest: string): string {
    return join(this.#dir, "blobs", algorithmOf(digest), hexOf(digest));
  }

  has(digest: string): boolean {
    return existsSync(this.path(digest));
  }

  /** Bytes, or undefined when it is not there. */
  size(digest: string): number | undefined {
    return statSync(this.path(digest), { throwIfNoEntry: false })?.size;
  }

  /** Small documents: checked against their digest each time.
   *  @throws image/digest-mismatch, image/not-found */
  read(digest: string): Buffer {
    let content: Buffer;
    try {
      content = readFileSync(this.path(digest));
    } catch (error) {
      throw new TscomposeError("image/not-found", `blob ${digest} is not in the store`, { cause: error });
    }
    const found = digestOf(content, algorithmOf(digest));
    if (found !== digest) throw mismatch("blob", digest, found);
    return content;
  }

  /** @returns its digest */
  write(content: Buffer): string {
    const digest = digestOf(content);
    if (this.size(digest) === content.length) return digest;
    const temp = this.#staging.filePath();
    writeFileSync(temp, content, { flag: "wx", mode: 0o600 });
    this.adopt(temp, digest);
    return digest;
  }

  /** Takes over a file whose bytes were checked against `digest`. */
  adopt(file: string, digest: string): void {
    renameSync(file, this.path(digest));
  }

  /** As `adopt`, but the file stays under its own name too. */
  link(file: string, digest: string): void {
    if (!this.has(digest)) linkSync(file, this.path(digest));
  }

  delete(digest: string): void {
    rmSync(this.path(digest), { force: true });
  }

  /** Digests of everything stored. */
  all(): readonly string[] {
    return ["sha256", "sha512"].flatMap((algorithm) =>
      readdirSync(join(this.#dir, "blobs", algorithm)).map((hex) => `${algorithm}:${hex}`),
    );
  }
}
