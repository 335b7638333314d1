/** `save`: images -> one tar that is an OCI layout and docker's format at once, as Docker 25 and later write it. Each blob is in it
 *  once, bit for bit as it came. Source: engine-api.md 5.4; OCI image-layout.md. */
import type { Image } from "../image-records.ts";
import type { ImageParts } from "../parts.ts";
import { portableImage, type PortableImage } from "../portable.ts";
import {
  canonicalName,
  familiarName,
  familiarRepository,
  parseReference,
  repositoryOf,
  tryParseReference,
  withDefaultTag,
} from "../reference.ts";
import { ociIndex } from "../media-types.ts";
import { emptyXattrs, type TarEntry } from "../tar/entry.ts";
import { encodeHeader, endOfArchive, padding } from "../tar/writer.ts";
import { blobMember } from "./members.ts";

interface Saved {
  readonly image: Image;
  readonly portable: PortableImage;
  /** Canonical names that go along. */
  readonly tags: readonly string[];
}

/** @param refs images, and how they were asked for
 *  @param names that the images have in the archive, whatever they are called in the store; none: those of `refs`
 *  @throws image/not-found, request/invalid for what is no name */
export function saveImages(
  parts: ImageParts,
  refs: readonly { readonly ref: string; readonly image: Image }[],
  names: readonly string[] = [],
): AsyncGenerator<Buffer> {
  const given = names.map((name) => canonicalName(withDefaultTag(parseReference(name))));
  const byId = new Map<string, Saved>();
  for (const { ref, image } of refs) {
    const known = byId.get(image.id);
    const tags = [
      ...new Set([...(known?.tags ?? []), ...given, ...(given.length > 0 ? [] : tagsNamed(parts, image, ref))]),
    ];
    byId.set(image.id, { image, tags, portable: known?.portable ?? portableImage(parts, image) });
  }
  const saved = [...byId.values()];
  for (const { image, tags } of saved)
    parts.catalog.emit(image, "save", tags[0] === undefined ? image.id : familiarName(parseReference(tags[0])));
  return writeArchive(parts, saved);
}

/** By id: no name. By name and tag: that one. By name alone: every tag of it that the image has. */
function tagsNamed(parts: ImageParts, image: Image, ref: string): readonly string[] {
  if (parts.catalog.isIdOf(image, ref)) return [];
  const reference = parseReference(ref);
  if (reference.tag !== undefined) return [canonicalName({ ...reference, digest: undefined })];
  if (image.tags.length === 0) return [canonicalName(withDefaultTag(reference))];
  return image.tags.filter((tag) => repositoryOf(parseReference(tag)) === repositoryOf(reference));
}

async function* writeArchive(parts: ImageParts, saved: readonly Saved[]): AsyncGenerator<Buffer> {
  const release = parts.catalog.hold(
    saved.flatMap(({ image, portable }) => [
      image.id,
      portable.manifest.descriptor.digest,
      ...portable.layers.flatMap(({ diffId, descriptor }) => [diffId, descriptor.digest]),
    ]),
  );
  try {
    yield directory("blobs/");
    yield directory("blobs/sha256/");
    const written = new Set<string>();
    for (const { portable } of saved) yield* writeBlobs(portable, written);
    yield* document("index.json", renderIndex(saved));
    yield* document("manifest.json", renderDockerManifest(saved));
    yield* document("oci-layout", { imageLayoutVersion: "1.0.0" });
    yield* document("repositories", renderRepositories(saved));
    yield endOfArchive;
  } finally {
    release();
  }
}

async function* writeBlobs({ manifest, config, layers }: PortableImage, written: Set<string>): AsyncGenerator<Buffer> {
  const isNew = (digest: string): boolean => !written.has(digest) && written.add(digest).has(digest);
  for (const { bytes, descriptor } of [config, manifest]) {
    if (isNew(descriptor.digest)) yield* file(blobMember(descriptor.digest), bytes);
  }
  for (const { descriptor, open } of layers) {
    if (!isNew(descriptor.digest)) continue;
    yield header(blobMember(descriptor.digest), "file", descriptor.size);
    // The client may read slowly: what waits for it must stay as it is.
    for await (const chunk of open()) yield Buffer.from(chunk);
    yield padding(descriptor.size);
  }
}

function renderIndex(saved: readonly Saved[]): object {
  const manifests = saved.flatMap(({ portable, tags }) => {
    const { mediaType, digest, size } = portable.manifest.descriptor;
    if (tags.length === 0) return [{ mediaType, digest, size }];
    return tags.map((tag) => ({
      mediaType,
      digest,
      size,
      annotations: {
        "io.containerd.image.name": tag,
        "org.opencontainers.image.ref.name": parseReference(tag).tag ?? "",
      },
    }));
  });
  return { schemaVersion: 2, mediaType: ociIndex, manifests };
}

function renderDockerManifest(saved: readonly Saved[]): object {
  return saved.map(({ image, portable, tags }) => ({
    Config: blobMember(image.id),
    RepoTags: tags.length === 0 ? null : tags.map((tag) => familiarName(parseReference(tag))),
    Layers: portable.layers.map(({ descriptor }) => blobMember(descriptor.digest)),
  }));
}

/** Name -> tag -> hex of the top layer, which is what the oldest format put there. */
function renderRepositories(saved: readonly Saved[]): object {
  const repositories: Record<string, Record<string, string>> = {};
  for (const { image, tags } of saved) {
    for (const tag of tags) {
      const reference = tryParseReference(tag);
      if (reference === undefined) continue;
      const name = familiarRepository(reference);
      repositories[name] = { ...repositories[name], [reference.tag ?? "latest"]: image.id.slice("sha256:".length) };
    }
  }
  return repositories;
}

function* document(name: string, value: object): Generator<Buffer> {
  yield* file(name, Buffer.from(JSON.stringify(value)));
}

function* file(name: string, content: Buffer): Generator<Buffer> {
  yield header(name, "file", content.length);
  yield content;
  yield padding(content.length);
}

function directory(name: string): Buffer {
  return header(name, "dir", 0);
}

function header(name: string, type: TarEntry["type"], size: number): Buffer {
  return encodeHeader({
    type,
    name: Buffer.from(name),
    linkName: Buffer.alloc(0),
    mode: type === "dir" ? 0o755 : 0o444,
    uid: 0,
    gid: 0,
    size,
    mtime: { sec: 0, nsec: 0 },
    device: { major: 0, minor: 0 },
    xattrs: emptyXattrs,
  });
}
