/** The images of the store: which there are, by which names, who uses them, and what may be deleted. In: checked records.
 *  Knows no archives and no registries. */
import { TscomposeError } from "../../errors.ts";
import type { PublishEvent } from "../events.ts";
import type { BlobStore } from "./blobs.ts";
import type { ChainRecords } from "./chains.ts";
import { chainIds, hexOf } from "./digest.ts";
import type { Image, ImageRecord, ImageRecords } from "./image-records.ts";
import type { LayerRecord, LayerStore } from "./layers/layer-store.ts";
import { parseManifest } from "./manifest.ts";
import { canonicalName, familiarName, repositoryOf, tryParseReference, withDefaultTag } from "./reference.ts";

export const neverTagged = "0001-01-01T00:00:00Z";

export interface ImageUser {
  readonly containerId: string;
  readonly running: () => boolean;
}
export interface CatalogParts {
  readonly records: ImageRecords;
  readonly layers: LayerStore;
  readonly blobs: BlobStore;
  readonly chains: ChainRecords;
  readonly emit: PublishEvent;
}

export class Catalog {
  readonly #parts: CatalogParts;
  readonly #users = new Map<string, Map<string, ImageUser>>();
  /** Digests of blobs and layers that an operation in progress needs, with how often. */
  readonly #held = new Map<string, number>();

  constructor(parts: CatalogParts) {
    this.#parts = parts;
    for (const image of parts.records.all()) parts.chains.learn(image.config.rootfs.diff_ids);
  }

  /** By id, unique prefix of it, or name.
   *  @throws image/not-found, request/invalid for an ambiguous prefix */
  resolve(ref: string): Image {
    const found = this.find(ref);
    if (found !== undefined) return found;
    const reference = tryParseReference(ref);
    const name = reference === undefined ? ref : familiarName(withDefaultTag(reference));
    throw new TscomposeError("image/not-found", `No such image: ${name}`, {
      hint: "pull or load it first, or check the spelling",
    });
  }

  /** The image, and those of other platforms that came from the same index. */
  platformsOf(image: Image): readonly Image[] {
    const digests = new Set(image.digests);
    const others = this.all().filter(
      ({ id, digests: own }) => id !== image.id && own.some((name) => digests.has(name)),
    );
    return [image, ...others];
  }

  /** Has no tag of its own because another platform of the same index has it. */
  isFurtherPlatform(image: Image): boolean {
    return image.tags.length === 0 && this.platformsOf(image).some(({ tags }) => tags.length > 0);
  }

  find(ref: string): Image | undefined {
    const { records } = this.#parts;
    const hex = /^sha256:([a-f0-9]+)$/.exec(ref)?.[1];
    if (hex !== undefined) return records.get(ref) ?? this.#unique(hex, ref);
    const reference = tryParseReference(ref);
    if (reference !== undefined) {
      const { tag, ...untagged } = withDefaultTag(reference);
      const name = canonicalName(
        reference.digest === undefined ? { ...untagged, tag } : { ...untagged, tag: undefined },
      );
      const image = records.named(name);
      if (image !== undefined) return image;
    }
    return /^[a-f0-9]{1,64}$/.test(ref) ? this.#unique(ref, ref) : undefined;
  }

  /** Whether `ref` names the image by its id rather than by a tag or digest of a repository. */
  isIdOf(image: Image, ref: string): boolean {
    return (
      image.id === ref ||
      (/^(?:sha256:)?[a-f0-9]+$/.test(ref) && hexOf(image.id).startsWith(ref.replace("sha256:", "")))
    );
  }

  #unique(hex: string, ref: string): Image | undefined {
    const found = this.#parts.records.withPrefix(hex);
    if (found.length > 1) {
      throw new TscomposeError("request/invalid", `multiple images found with the id prefix ${ref}`, {
        hint: "give more characters of the id",
      });
    }
    return found[0];
  }

  all(): readonly Image[] {
    return this.#parts.records.all();
  }

  /** Adds an image whose blobs and layers are in the store, or names to one that is there. A tag leaves the image that had it. */
  add(
    image: Pick<ImageRecord, "id" | "manifest"> & {
      readonly tags: readonly string[];
      readonly digests: readonly string[];
    },
  ): Image {
    for (const tag of image.tags) this.#takeTag(tag, image.id);
    const known = this.#parts.records.get(image.id);
    const added = this.#parts.records.put({
      version: 1,
      id: image.id,
      manifest: image.manifest,
      tags: union(known?.tags, image.tags),
      digests: union(known?.digests, image.digests),
      lastTagTime: image.tags.length > 0 ? new Date().toISOString() : (known?.lastTagTime ?? neverTagged),
    });
    this.#parts.chains.learn(added.config.rootfs.diff_ids);
    return added;
  }

  #takeTag(tag: string, newOwner: string): void {
    const owner = this.#parts.records.named(tag);
    if (owner === undefined || owner.id === newOwner) return;
    this.#parts.records.put({ ...withoutConfig(owner), tags: owner.tags.filter((other) => other !== tag) });
  }

  /** Takes names away from an image; one that has none left and that nobody uses is deleted, which needs no room on the disk.
   *  @returns the id of the image and chain ids of the layers that went, top first; empty: it is still there */
  removeNames(image: Image, names: readonly string[]): readonly string[] {
    const tags = image.tags.filter((tag) => !names.includes(tag));
    const digests = image.digests.filter((digest) => !names.includes(digest));
    const doomed = tags.length + digests.length === 0 && this.users(image.id).length === 0;
    if (!doomed) this.#parts.records.put({ ...withoutConfig(image), tags, digests });
    for (const name of names) {
      const reference = tryParseReference(name);
      this.emit(image, "untag", reference === undefined ? name : familiarName(reference));
    }
    return doomed ? [image.id, ...this.#delete(image).filter((id) => id !== image.id)] : [];
  }

  #delete(image: Image): readonly string[] {
    this.#parts.records.delete(image.id);
    this.emit(image, "delete", image.id);
    const gone = new Set(this.collectGarbage());
    const ids = image.config.rootfs.diff_ids;
    return chainIds(ids)
      .filter((_, i) => gone.has(ids[i] ?? ""))
      .toReversed();
  }

  /** Deletes layers and blobs that no image, chain or operation needs. @returns diff ids of the layers */
  collectGarbage(): readonly string[] {
    const { records, layers, blobs, chains } = this.#parts;
    const keep = new Set<string>([...this.#held.keys(), ...chains.pinnedDiffIds()]);
    for (const image of records.all()) {
      for (const digest of [image.id, image.manifest.digest, ...image.config.rootfs.diff_ids]) keep.add(digest);
      for (const digest of this.#layerBlobs(image)) keep.add(digest);
    }
    for (const { diffId, blob } of layers.all()) if (keep.has(diffId) && blob !== undefined) keep.add(blob.digest);
    const gone = layers.all().filter(({ diffId }) => !keep.has(diffId));
    for (const { diffId } of gone) layers.remove(diffId);
    for (const digest of blobs.all()) if (!keep.has(digest)) blobs.delete(digest);
    return gone.map(({ diffId }) => diffId);
  }

  #layerBlobs(image: Image): readonly string[] {
    if (!this.#parts.blobs.has(image.manifest.digest)) return [];
    const manifest = parseManifest(this.#parts.blobs.read(image.manifest.digest), image.manifest.mediaType, "manifest");
    return manifest.kind === "manifest" ? manifest.layers.map(({ digest }) => digest) : [];
  }

  /** Keeps blobs and layers from being collected until the answer is called. */
  hold(digests: readonly string[]): () => void {
    for (const digest of digests) this.#held.set(digest, (this.#held.get(digest) ?? 0) + 1);
    let released = false;
    return () => {
      if (released) return;
      released = true;
      for (const digest of digests) {
        const left = (this.#held.get(digest) ?? 1) - 1;
        if (left === 0) this.#held.delete(digest);
        else this.#held.set(digest, left);
      }
    };
  }

  acquire(imageId: string, user: ImageUser): void {
    const users = this.#users.get(imageId) ?? new Map<string, ImageUser>();
    users.set(user.containerId, user);
    this.#users.set(imageId, users);
  }

  release(imageId: string, containerId: string): void {
    const users = this.#users.get(imageId);
    users?.delete(containerId);
    if (users?.size === 0) this.#users.delete(imageId);
  }

  users(imageId: string): readonly ImageUser[] {
    return [...(this.#users.get(imageId)?.values() ?? [])];
  }

  /** Its layers, lowest first. */
  layersOf(image: Image): readonly LayerRecord[] {
    return image.config.rootfs.diff_ids.flatMap((diffId) => this.#parts.layers.get(diffId) ?? []);
  }

  /** Bytes of all unpacked layers. */
  layerBytes(): number {
    return this.#parts.layers.all().reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  publishPrune(reclaimed: number): void {
    this.#parts.emit({ type: "image", action: "prune", id: "", attributes: { reclaimed: String(reclaimed) } });
  }

  /** Publishes an event of an image, with its labels. */
  emit(
    image: Image,
    action: "create" | "delete" | "import" | "load" | "pull" | "push" | "save" | "tag" | "untag",
    name: string,
  ): void {
    const labels = image.config.config?.Labels ?? {};
    this.#parts.emit({
      type: "image",
      action,
      id: action === "pull" || action === "push" ? name : image.id,
      attributes: { ...labels, name },
    });
  }
}

function union(known: readonly string[] | undefined, added: readonly string[]): readonly string[] {
  return [...new Set([...(known ?? []), ...added])].toSorted();
}

function withoutConfig(image: Image): ImageRecord {
  const { version, id, manifest, tags, digests, lastTagTime } = image;
  return { version, id, manifest, tags, digests, lastTagTime };
}

/** Canonical names of a repository among `names`. */
export function namesInRepository(names: readonly string[], name: string): readonly string[] {
  const reference = tryParseReference(name);
  if (reference === undefined) return [];
  return names.filter((other) => {
    const parsed = tryParseReference(other);
    return parsed !== undefined && repositoryOf(parsed) === repositoryOf(reference);
  });
}
