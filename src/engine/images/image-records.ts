/** What is stored of an image: `images/records/<hex of its id>.json`, and its configuration as a blob. Keeps the index of names. */
import { isDeepStrictEqual } from "node:util";
import { hexOf } from "./digest.ts";
import { assertDigest } from "./digest.ts";
import { isObject, type JsonObject } from "./json.ts";
import { parseConfig, parseDescriptor, type Descriptor } from "./manifest.ts";
import type { BlobStore } from "./blobs.ts";
import { RecordFiles } from "./record-files.ts";
import type { OciImageConfig } from "../types.ts";

export interface ImageRecord {
  readonly version: 1;
  readonly id: string;
  /** Of the manifest for this platform; its blob is in the store. */
  readonly manifest: Descriptor;
  /** Canonical, `docker.io/library/busybox:latest`, sorted. */
  readonly tags: readonly string[];
  /** Canonical, `docker.io/library/busybox@sha256:...`, sorted. */
  readonly digests: readonly string[];
  /** RFC 3339; the zero time: never tagged here. */
  readonly lastTagTime: string;
}

/** A record with its configuration. */
export interface Image extends ImageRecord {
  readonly config: OciImageConfig;
}

export class ImageRecords {
  readonly #files: RecordFiles<ImageRecord>;
  readonly #onChange: () => void;
  readonly #blobs: BlobStore;
  readonly #byId = new Map<string, Image>();
  /** A digest of an index is the name of each of its platforms that is here; the newest last. */
  readonly #byName = new Map<string, readonly string[]>();

  /** @param isComplete whether all layers of a configuration are in the store */
  constructor(options: {
    readonly dir: string;
    readonly corruptDir: string;
    readonly blobs: BlobStore;
    readonly warn: (message: string) => void;
    readonly isComplete: (config: OciImageConfig) => boolean;
    readonly onChange: () => void;
  }) {
    this.#onChange = options.onChange;
    this.#blobs = options.blobs;
    this.#files = new RecordFiles(options.dir, options.corruptDir, options.warn);
    const check = (value: JsonObject): ImageRecord => {
      const record = checkRecord(value);
      if (!options.isComplete(this.#config(record.id)))
        throw new Error("a layer of the image is missing; pull it again");
      return record;
    };
    for (const [, record] of this.#files.load(check)) this.#remember({ ...record, config: this.#config(record.id) });
  }

  get(id: string): Image | undefined {
    return this.#byId.get(id);
  }

  /** By canonical name with tag or digest; of several with the digest the one that has a tag, else the newest. */
  named(name: string): Image | undefined {
    const found = (this.#byName.get(name) ?? []).flatMap((id) => this.#byId.get(id) ?? []);
    return found.findLast(({ tags }) => tags.length > 0) ?? found.at(-1);
  }

  /** By the beginning of the hex part of the id. */
  withPrefix(hex: string): readonly Image[] {
    return [...this.#byId.values()].filter(({ id }) => hexOf(id).startsWith(hex));
  }

  all(): readonly Image[] {
    return [...this.#byId.values()];
  }

  /** On the disk when it returns, unless nothing but the time of the tags is new: that gets there with the next change, so that a build
   *  whose result is there already waits for no disk. */
  put(record: ImageRecord): Image {
    const known = this.#byId.get(record.id);
    const image: Image = { ...record, config: known?.config ?? this.#config(record.id) };
    const isStored =
      known !== undefined && isDeepStrictEqual({ ...known, lastTagTime: "" }, { ...image, lastTagTime: "" });
    if (!isStored) {
      const { config: _, ...stored } = image;
      this.#files.write(hexOf(record.id), stored);
    }
    this.#forget(record.id);
    this.#remember(image);
    if (!isStored) this.#onChange();
    return image;
  }

  delete(id: string): void {
    this.#files.delete(hexOf(id));
    this.#forget(id);
    this.#onChange();
  }

  #config(id: string): OciImageConfig {
    return parseConfig(this.#blobs.read(id), `configuration of image ${id}`);
  }

  #remember(image: Image): void {
    this.#byId.set(image.id, image);
    for (const name of [...image.tags, ...image.digests]) {
      this.#byName.set(name, [...(this.#byName.get(name) ?? []), image.id]);
    }
  }

  #forget(id: string): void {
    const image = this.#byId.get(id);
    this.#byId.delete(id);
    for (const name of [...(image?.tags ?? []), ...(image?.digests ?? [])]) {
      const left = (this.#byName.get(name) ?? []).filter((other) => other !== id);
      if (left.length === 0) this.#byName.delete(name);
      else this.#byName.set(name, left);
    }
  }
}

function checkRecord(value: JsonObject): ImageRecord {
  const { manifest, tags, digests, lastTagTime } = value;
  if (!isObject(manifest) || !isTextList(tags) || !isTextList(digests) || typeof lastTagTime !== "string") {
    throw new Error("a field is missing or of the wrong type");
  }
  const id = assertDigest(value["id"], "image record");
  return { version: 1, id, manifest: parseDescriptor(manifest, "image record"), tags, digests, lastTagTime };
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
