/** Media types of manifests, configurations and layers, and how a layer is packed. Pure.
 *  Source: OCI image-spec media-types.md; distribution manifest-v2-2. */
export const ociManifest = "application/vnd.oci.image.manifest.v1+json";
export const ociIndex = "application/vnd.oci.image.index.v1+json";
export const ociLayer = "application/vnd.oci.image.layer.v1.tar";
export const dockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
export const dockerList = "application/vnd.docker.distribution.manifest.list.v2+json";
export const dockerConfig = "application/vnd.docker.container.image.v1+json";
const dockerLayer = "application/vnd.docker.image.rootfs.diff.tar";

export const manifestAccept = [ociIndex, dockerList, ociManifest, dockerManifest].join(", ");

export type Compression = "none" | "gzip" | "zstd" | "xz" | "bzip2";

const layers: Readonly<Record<string, Compression>> = {
  [ociLayer]: "none",
  [`${ociLayer}+gzip`]: "gzip",
  [`${ociLayer}+zstd`]: "zstd",
  [dockerLayer]: "none",
  [`${dockerLayer}.gzip`]: "gzip",
  [`${dockerLayer}.zstd`]: "zstd",
  "application/vnd.oci.image.layer.nondistributable.v1.tar": "none",
  "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": "gzip",
  "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": "zstd",
  "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": "gzip",
};

/** What a layer that we store is called in a manifest we write. */
export function layerMediaType(compression: Compression): string {
  switch (compression) {
    case "none":
      return dockerLayer;
    case "gzip":
    case "zstd":
      return `${dockerLayer}.${compression}`;
    case "xz":
    case "bzip2":
      return `${dockerLayer}+${compression}`;
  }
}

/** Undefined: not a layer of a root file system (an attestation, an artifact). */
export function layerCompression(mediaType: string): Compression | undefined {
  return Object.hasOwn(layers, mediaType) ? layers[mediaType] : undefined;
}

export function isIndex(mediaType: string): boolean {
  return mediaType === ociIndex || mediaType === dockerList;
}
export function isManifest(mediaType: string): boolean {
  return mediaType === ociManifest || mediaType === dockerManifest;
}

/** What a stream is packed with, by its first bytes (at least 6 where it has so many). */
export function sniffCompression(start: Buffer): Compression {
  if (start[0] === 0x1f && start[1] === 0x8b) return "gzip";
  if (start.length >= 4 && start.readUInt32LE(0) === 0xfd2fb528) return "zstd";
  // A skippable frame may come first: 0x184D2A50 to 0x184D2A5F.
  if (start.length >= 4 && start.readUInt32LE(0) >>> 4 === 0x184d2a5) return "zstd";
  if (start.subarray(0, 6).equals(Buffer.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0))) return "xz";
  if (start.subarray(0, 3).toString("latin1") === "BZh") return "bzip2";
  return "none";
}
