/** An archive of images, read once from a stream: small members are kept in memory, large ones in staging files, each with its
 *  digest. In: bytes, possibly packed. Out: members by name. Names are only keys: no file is ever called as the archive says. */
import { createHash, type Hash } from "node:crypto";
import { closeSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from "node:fs";
import { TscomposeError } from "../../../errors.ts";
import { SniffingDecoder } from "../decoder.ts";
import { maxDocumentBytes } from "../json.ts";
import { entryComponents, joinedPath } from "../layers/entry-path.ts";
import type { StagingArea } from "../staging.ts";
import type { TarEntry } from "../tar/entry.ts";
import { TarReader, type TarHandler } from "../tar/reader.ts";

const memoryBytes = 256 * 1024;
const maxMembers = 100_000;
const maxLinks = 16;

interface Member {
  readonly size: number;
  readonly digest: string;
  readonly content: Buffer | undefined;
  file: string | undefined;
}

export class ArchiveSpool implements TarHandler {
  readonly #staging: StagingArea;
  readonly #members = new Map<string, Member>();
  readonly #links = new Map<string, string>();
  #current:
    | {
        readonly name: string;
        readonly hash: Hash;
        readonly entry: TarEntry;
        readonly chunks: Buffer[];
        readonly fd: number | undefined;
        readonly file: string | undefined;
      }
    | undefined;

  constructor(staging: StagingArea) {
    this.#staging = staging;
  }

  /** Reads a whole archive.
   *  @throws image/invalid */
  async read(archive: AsyncIterable<Buffer>): Promise<void> {
    const tar = new TarReader(this);
    const decoder = new SniffingDecoder((chunk) => tar.write(chunk));
    try {
      for await (const chunk of archive) {
        const wait = decoder.write(chunk);
        if (wait !== undefined) await wait;
      }
      await decoder.end();
      tar.finish();
    } finally {
      decoder.close();
      if (this.#current?.fd !== undefined) closeSync(this.#current.fd);
      if (this.#current?.file !== undefined) this.#staging.discard(this.#current.file);
      this.#current = undefined;
    }
  }

  entry(entry: TarEntry): void {
    const name = joinedPath(entryComponents(entry.name));
    if (this.#members.size + this.#links.size >= maxMembers)
      throw new TscomposeError("image/invalid", "archive has too many members");
    if (entry.type === "symlink" || entry.type === "hardlink") {
      const base = entry.type === "symlink" ? name.split("/").slice(0, -1).join("/") : "";
      const target = Buffer.concat([Buffer.from(`${base}/`), entry.linkName]);
      this.#links.set(name, joinedPath(entryComponents(target)));
    }
    if (entry.type !== "file") return;
    this.#links.delete(name);
    const file = entry.size > memoryBytes ? this.#staging.filePath() : undefined;
    const fd = file === undefined ? undefined : openSync(file, "wx", 0o600);
    this.#current = { name, entry, hash: createHash("sha256"), chunks: [], fd, file };
  }

  data(chunk: Buffer): void {
    const current = this.#current;
    if (current === undefined) return;
    current.hash.update(chunk);
    if (current.fd === undefined) current.chunks.push(Buffer.from(chunk));
    else for (let done = 0; done < chunk.length;) done += writeSync(current.fd, chunk, done);
  }

  end(): void {
    const current = this.#current;
    if (current === undefined) return;
    this.#current = undefined;
    if (current.fd !== undefined) closeSync(current.fd);
    const replaced = this.#members.get(current.name)?.file;
    if (replaced !== undefined) this.#staging.discard(replaced);
    this.#members.set(current.name, {
      size: current.entry.size,
      digest: `sha256:${current.hash.digest("hex")}`,
      content: current.file === undefined ? Buffer.concat(current.chunks) : undefined,
      file: current.file,
    });
  }

  names(): readonly string[] {
    return [...this.#members.keys(), ...this.#links.keys()];
  }

  has(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  /** A JSON document.
   *  @throws image/invalid when it is not there or too large to be one */
  document(name: string): Buffer {
    const member = this.#get(name);
    if (member.size > maxDocumentBytes)
      throw new TscomposeError("image/invalid", `${name} in the archive is too large`);
    return member.content ?? readFileSync(member.file ?? "");
  }

  /** @throws image/invalid when it is not there */
  digest(name: string): string {
    return this.#get(name).digest;
  }

  /** A member as a staging file; it is the caller's to move away, else `discard` removes it. */
  file(name: string): { readonly path: string; readonly size: number; readonly digest: string } {
    const member = this.#get(name);
    if (member.file === undefined) {
      member.file = this.#staging.filePath();
      writeFileSync(member.file, member.content ?? Buffer.alloc(0), { flag: "wx", mode: 0o600 });
    }
    return { path: member.file, size: member.size, digest: member.digest };
  }

  /** Removes the files that nobody took over. */
  discard(): void {
    for (const { file } of this.#members.values()) {
      if (file !== undefined && statSync(file, { throwIfNoEntry: false }) !== undefined) this.#staging.discard(file);
    }
  }

  #get(name: string): Member {
    const member = this.#find(name);
    if (member !== undefined) return member;
    throw new TscomposeError("image/invalid", `archive names ${JSON.stringify(name)}, which is not in it`);
  }

  #find(name: string): Member | undefined {
    let at = name;
    for (let i = 0; i < maxLinks; i++) {
      const member = this.#members.get(at);
      if (member !== undefined) return member;
      const next = this.#links.get(at);
      if (next === undefined) return undefined;
      at = next;
    }
    return undefined;
  }
}
