/** A build cache in a folder of this machine, as BuildKit's `type=local`: an OCI layout whose index has an entry a tag. The folder is its
 *  owner's, who may put symlinks there: nothing is read or written through one. Source: OCI image-layout.md. */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  createReadStream,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { errnoOf, TscomposeError } from "../../../errors.ts";
import {
  mkdirat,
  O_DIRECTORY,
  openat2,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  syscallErrno,
} from "../../../host/libc.ts";
import { algorithmOf, digestOf, hexOf } from "../../images/digest.ts";
import { isObject, maxDocumentBytes, parseObject } from "../../images/json.ts";
import { mismatch } from "../../images/layers/layer-job.ts";
import { parseDescriptor, parseManifest, type Descriptor } from "../../images/manifest.ts";
import { ociIndex } from "../../images/media-types.ts";
import type { FetchedManifest } from "../../images/registry/fetch.ts";
import type { CachePlace } from "./cache-place.ts";

const resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
const nameKey = "org.opencontainers.image.ref.name";

export interface FolderPlaceOptions {
  /** Of the folder; closed with the place. */
  readonly fd: number;
  readonly path: string;
  /** A tag or digest of its index. */
  readonly name: string;
}

export function folderPlace({ fd, path, name }: FolderPlaceOptions): CachePlace {
  const folder = new Folder(fd, path);
  return {
    name: `${path}:${name}`,
    manifest: () => Promise.resolve(folder.manifest(folder.entry(name))),
    manifestOf: (descriptor) => Promise.resolve(folder.manifest(descriptor)),
    document: (descriptor) => Promise.resolve(folder.document(descriptor)),
    open: (descriptor) => folder.open(descriptor),
    putBlob: (descriptor, open) => folder.put(descriptor, open(0)),
    putManifest: async ({ bytes, descriptor }) => {
      await folder.put(descriptor, [bytes]);
      await folder.name(descriptor, name);
    },
    close: () => closeSync(fd),
  };
}

type Chunks = AsyncIterable<Buffer> | Iterable<Buffer>;

class Folder {
  readonly #fd: number;
  readonly #path: string;

  constructor(fd: number, path: string) {
    this.#fd = fd;
    this.#path = path;
  }

  #failed(what: string, cause?: unknown): TscomposeError {
    return new TscomposeError("image/not-found", `the folder ${this.#path} ${what}`, { cause });
  }

  /** A regular file, to read. */
  #openFile(path: string): number {
    let file: number;
    try {
      file = openat2(this.#fd, path, { flags: constants.O_RDONLY | constants.O_NONBLOCK, resolve });
    } catch (error) {
      throw this.#failed(`has no file ${path}`, error);
    }
    if (fstatSync(file).isFile()) return file;
    closeSync(file);
    throw this.#failed(`has no file ${path}`);
  }

  #small(path: string): Buffer {
    const file = this.#openFile(path);
    try {
      if (fstatSync(file).size > maxDocumentBytes) throw this.#failed(`has a ${path} that is too large`);
      return readFileSync(file);
    } finally {
      closeSync(file);
    }
  }

  #blob({ digest }: Descriptor): string {
    return `blobs/${algorithmOf(digest)}/${hexOf(digest)}`;
  }

  #index(): readonly unknown[] {
    const manifests = parseObject(this.#small("index.json"), `index of ${this.#path}`)["manifests"];
    return Array.isArray(manifests) ? (manifests as readonly unknown[]) : [];
  }

  entry(name: string): Descriptor {
    const found = this.#index().find((entry) => {
      if (!isObject(entry)) return false;
      return entry["digest"] === name || nameOf(entry) === name;
    });
    if (found === undefined) throw this.#failed(`has no cache ${name}`);
    return parseDescriptor(found, `index of ${this.#path}`);
  }

  document(descriptor: Descriptor): Buffer {
    const content = this.#small(this.#blob(descriptor));
    const digest = digestOf(content, algorithmOf(descriptor.digest));
    if (digest !== descriptor.digest) throw mismatch(`blob of ${this.#path}`, descriptor.digest, digest);
    return content;
  }

  manifest(descriptor: Descriptor): FetchedManifest {
    const bytes = this.document(descriptor);
    return { bytes, descriptor, content: parseManifest(bytes, descriptor.mediaType, `manifest in ${this.#path}`) };
  }

  async *open(descriptor: Descriptor): AsyncGenerator<Buffer> {
    const fd = this.#openFile(this.#blob(descriptor));
    yield* createReadStream("", { fd, highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>;
  }

  #directory(path: string): number {
    let at = openat2(this.#fd, ".", { flags: O_DIRECTORY, resolve });
    for (const part of path.split("/")) {
      try {
        mkdirat(at, part, 0o755);
      } catch (error) {
        if (syscallErrno(error) !== "EEXIST") throw error;
      }
      const next = openat2(at, part, { flags: O_DIRECTORY, resolve });
      closeSync(at);
      at = next;
    }
    return at;
  }

  async put(descriptor: Descriptor, chunks: Chunks): Promise<void> {
    const { digest, size } = descriptor;
    const directory = this.#directory(`blobs/${algorithmOf(digest)}`);
    try {
      if (this.#has(descriptor, size)) return;
      await this.#write(directory, hexOf(digest), chunks);
    } finally {
      closeSync(directory);
    }
  }

  #has(descriptor: Descriptor, size: number): boolean {
    try {
      const file = this.#openFile(this.#blob(descriptor));
      const found = fstatSync(file).size;
      closeSync(file);
      return found === size;
    } catch {
      return false;
    }
  }

  /** A new file, whole before it has its name. */
  async #write(directory: number, name: string, chunks: Chunks): Promise<void> {
    const at = (file: string): string => `/proc/self/fd/${directory}/${file}`;
    const temporary = at(`.${randomBytes(8).toString("hex")}`);
    const file = openSync(temporary, "wx", 0o644);
    try {
      for await (const chunk of chunks) {
        for (let done = 0; done < chunk.length;) done += writeSync(file, chunk, done);
      }
      fsyncSync(file);
      renameSync(temporary, at(name));
    } catch (error) {
      rmSync(temporary, { force: true });
      if (errnoOf(error) === "ENOSPC")
        throw new TscomposeError("host/no-space", `no space left for the build cache in ${this.#path}`, {
          cause: error,
        });
      throw error;
    } finally {
      closeSync(file);
    }
  }

  async name(descriptor: Descriptor, tag: string): Promise<void> {
    let others: readonly unknown[] = [];
    try {
      others = this.#index().filter((entry) => isObject(entry) && nameOf(entry) !== tag);
    } catch {
      // There is none yet, or one that says nothing.
    }
    const manifests = [...others, { ...descriptor, annotations: { [nameKey]: tag } }];
    const index = JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests });
    const root = openat2(this.#fd, ".", { flags: O_DIRECTORY, resolve });
    try {
      await this.#write(root, "oci-layout", [Buffer.from('{"imageLayoutVersion":"1.0.0"}')]);
      await this.#write(root, "index.json", [Buffer.from(index)]);
    } finally {
      closeSync(root);
    }
  }
}

function nameOf(entry: Readonly<Record<string, unknown>>): unknown {
  return isObject(entry["annotations"]) ? entry["annotations"][nameKey] : undefined;
}
