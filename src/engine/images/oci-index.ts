/** `index.json` beside the blobs: what makes the folder an OCI layout that other tools read. Derived from the records, written a
 *  little after a change, and never read by us. Source: OCI image-layout.md. */
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BlobStore } from "./blobs.ts";
import type { Image } from "./image-records.ts";
import { ociIndex } from "./media-types.ts";
import { parseReference } from "./reference.ts";

const delayMs = 200;

export class OciIndex {
  readonly #dir: string;
  readonly #images: () => readonly Image[];
  readonly #blobs: BlobStore;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: { readonly dir: string; readonly images: () => readonly Image[]; readonly blobs: BlobStore }) {
    this.#dir = options.dir;
    this.#images = options.images;
    this.#blobs = options.blobs;
  }

  changed(): void {
    this.#timer ??= setTimeout(() => this.flush(), delayMs).unref();
  }

  /** Writes what is due. */
  flush(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const manifests = this.#images().flatMap((image) => this.#entries(image));
    const path = join(this.#dir, "index.json");
    try {
      writeFileSync(`${path}.tmp`, JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests }));
      renameSync(`${path}.tmp`, path);
    } catch {
      return; // a full disk: the next change writes it, and the engine itself does not need it
    }
  }

  #entries({ manifest, tags }: Image): readonly object[] {
    if (!this.#blobs.has(manifest.digest)) return [];
    const { mediaType, digest, size } = manifest;
    if (tags.length === 0) return [{ mediaType, digest, size }];
    return tags.map((tag) => {
      const { tag: name = "" } = parseReference(tag);
      const annotations = { "io.containerd.image.name": tag, "org.opencontainers.image.ref.name": name };
      return { mediaType, digest, size, annotations };
    });
  }
}
