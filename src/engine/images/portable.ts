/** An image as blobs that can leave the store: its manifest as it came where all of it is stored, else one for what is. */
import { createHash } from "node:crypto";
import { TscomposeError } from "../../errors.ts";
import { digestOf } from "./digest.ts";
import type { Image } from "./image-records.ts";
import { packDirectory } from "./layers/pack.ts";
import { parseManifest, renderManifest, type Descriptor } from "./manifest.ts";
import { dockerConfig, dockerList, dockerManifest, layerMediaType, ociIndex } from "./media-types.ts";
import type { ImageParts } from "./parts.ts";
import type { Platform } from "./platform.ts";
import { readPieces } from "./read-pieces.ts";

export interface PortableLayer {
  readonly descriptor: Descriptor;
  readonly diffId: string;
  /** True when it is packed from the directory each time; then it is not compressed. */
  readonly packed: boolean;
  /** Its bytes, which were verified when they were stored and are again when they are packed. Each chunk is valid until the next is
   *  asked for. */
  readonly open: () => AsyncIterable<Buffer>;
}
export interface PortableImage {
  readonly manifest: { readonly bytes: Buffer; readonly descriptor: Descriptor };
  readonly config: { readonly bytes: Buffer; readonly descriptor: Descriptor };
  readonly layers: readonly PortableLayer[];
}

/** @throws image/not-found when the manifest or configuration is gone */
export function portableImage(parts: ImageParts, image: Image): PortableImage {
  const configBytes = parts.blobs.read(image.id);
  const manifestBytes = parts.blobs.read(image.manifest.digest);
  const manifest = parseManifest(manifestBytes, image.manifest.mediaType, "manifest");
  const described = manifest.kind === "manifest" ? manifest.layers : [];
  const layers = image.config.rootfs.diff_ids.map((diffId, i) => portableLayer(parts, diffId, described[i]));
  const same =
    manifest.kind === "manifest" && layers.every(({ descriptor }, i) => descriptor.digest === described[i]?.digest);
  if (same && manifest.config.digest === image.id) {
    const config = { bytes: configBytes, descriptor: manifest.config };
    return { manifest: { bytes: manifestBytes, descriptor: image.manifest }, config, layers };
  }
  const config = {
    bytes: configBytes,
    descriptor: { mediaType: dockerConfig, digest: image.id, size: configBytes.length },
  };
  return { manifest: manifestFor(config.descriptor, layers), config, layers };
}

export interface IndexedManifest {
  readonly descriptor: Descriptor;
  readonly platform: Platform;
}

/** An index of ours for manifests: of Docker's kind where all of them are, else OCI's, which takes both. */
export function indexFor(manifests: readonly IndexedManifest[]): PortableImage["manifest"] {
  const docker = manifests.every(({ descriptor }) => descriptor.mediaType === dockerManifest);
  const mediaType = docker ? dockerList : ociIndex;
  const entries = manifests.map(({ descriptor: { mediaType: kind, digest, size }, platform }) => {
    const { architecture, os, variant } = platform;
    return {
      mediaType: kind,
      digest,
      size,
      platform: { architecture, os, ...(variant === undefined ? {} : { variant }) },
    };
  });
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests: entries }));
  return { bytes, descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length } };
}

/** A manifest of ours for layers as they are. */
export function manifestFor(
  config: Descriptor,
  layers: readonly { readonly descriptor: Descriptor }[],
): { readonly bytes: Buffer; readonly descriptor: Descriptor } {
  const bytes = renderManifest(
    { ...config, mediaType: dockerConfig },
    layers.map(({ descriptor }) => descriptor),
  );
  return { bytes, descriptor: { mediaType: dockerManifest, digest: digestOf(bytes), size: bytes.length } };
}

function portableLayer(parts: ImageParts, diffId: string, described: Descriptor | undefined): PortableLayer {
  const fromFile = (descriptor: Descriptor): PortableLayer => ({
    descriptor,
    diffId,
    packed: false,
    open: () => readPieces(parts.blobs.path(descriptor.digest), { start: 0 }),
  });
  if (described !== undefined && parts.blobs.has(described.digest)) return fromFile(described);
  const layer = parts.layers.get(diffId);
  if (layer === undefined) throw new TscomposeError("image/not-found", `layer ${diffId} is not in the store`);
  if (layer.blob !== undefined && parts.blobs.has(layer.blob.digest)) {
    const { digest, size, compression } = layer.blob;
    return fromFile({ mediaType: layerMediaType(compression), digest, size });
  }
  const descriptor = { mediaType: layerMediaType("none"), digest: diffId, size: layer.tarBytes };
  return { descriptor, diffId, packed: true, open: () => packVerified(parts.layers.path(layer), diffId) };
}

/** @throws image/digest-mismatch at the end, when the directory is not what it was */
export async function* packVerified(directory: string, diffId: string): AsyncGenerator<Buffer> {
  const hash = createHash("sha256");
  for (const chunk of packDirectory(directory)) {
    hash.update(chunk);
    yield chunk;
  }
  const found = `sha256:${hash.digest("hex")}`;
  if (found === diffId) return;
  throw new TscomposeError(
    "image/digest-mismatch",
    `layer ${diffId} cannot be packed again: its directory gives ${found}`,
    {
      hint: "pull or build the image again",
    },
  );
}
