/** Single layers in and out of the store, and the way to a registry: what moving a build cache needs. */
import { TscomposeError } from "../../errors.ts";
import type { RegistryCredentials } from "../types.ts";
import { nextChainId } from "./digest.ts";
import { GrowingFile } from "./growing-file.ts";
import { compressTo } from "./layers/compress.ts";
import type { Descriptor } from "./manifest.ts";
import { layerMediaType, type Compression } from "./media-types.ts";
import type { ImageParts } from "./parts.ts";
import { packVerified } from "./portable.ts";
import { openRepository, type RegistryAccess } from "./pull.ts";
import type { Reference } from "./reference.ts";
import { registryEndpoint } from "./registry/endpoint.ts";
import type { Repository } from "./registry/fetch.ts";

export interface ForeignLayer {
  /** Of the unpacked tar. */
  readonly diffId: string;
  /** Of the packed bytes. */
  readonly descriptor: Descriptor;
  readonly open: () => AsyncIterable<Buffer>;
}

export interface TakenLayer {
  readonly chainId: string;
  readonly sizeBytes: number;
  /** From then on only what else needs the layer keeps it. */
  readonly release: () => void;
}

export interface LayerTransfer {
  /** Puts a layer from elsewhere on top of a chain that is in the store. Both its digests are compared before it is there.
   *  @throws image/digest-mismatch, image/invalid, host/no-space, what reading throws */
  takeLayer(parentChainId: string | undefined, layer: ForeignLayer): Promise<TakenLayer>;
  /** A layer of the store as a blob, packed now where it never was; it stays as long as the layer.
   *  @throws image/not-found, host/no-space */
  packLayer(diffId: string): Promise<{ readonly descriptor: Descriptor; readonly path: string }>;
  /** Keeps layers until the answer is called. */
  holdLayers(diffIds: readonly string[]): () => void;
  /** @param actions `pull` or `pull,push` */
  repository(
    reference: Reference,
    at: {
      readonly credentials: RegistryCredentials | undefined;
      readonly actions: string;
      readonly signal: AbortSignal;
    },
  ): Promise<Repository>;
}

export function layerTransfer(parts: ImageParts, access: RegistryAccess): LayerTransfer {
  return {
    takeLayer: (parent, layer) => takeLayer(parts, parent, layer),
    packLayer: (diffId) => packLayer(parts, diffId),
    holdLayers: (diffIds) => parts.catalog.hold(diffIds),
    repository: async (reference, { credentials, actions, signal }) =>
      openRepository(access, {
        endpoint: registryEndpoint(reference.domain, access.config),
        reference,
        credentials,
        signal,
        scopes: [`repository:${reference.path}:${actions}`],
      }),
  };
}

async function takeLayer(
  parts: ImageParts,
  parentChainId: string | undefined,
  layer: ForeignLayer,
): Promise<TakenLayer> {
  const { diffId, descriptor } = layer;
  const below = parentChainId === undefined ? [] : parts.chains.diffIds(parentChainId);
  const diffIds = [...below, diffId];
  const letGo = parts.catalog.hold([...diffIds, descriptor.digest]);
  const release = (): void => {
    letGo();
    parts.catalog.collectGarbage();
  };
  try {
    const record = await parts.ingest.ensure(diffId, (dir) => unpack(parts, layer, dir));
    parts.chains.learn(diffIds);
    parts.layers.settleImpliedDirs(diffIds);
    return { chainId: nextChainId(parentChainId, diffId), sizeBytes: record.sizeBytes, release };
  } catch (error) {
    letGo();
    throw error;
  }
}

async function unpack(parts: ImageParts, { diffId, descriptor, open }: ForeignLayer, dir: string) {
  const { digest, size } = descriptor;
  const kept = parts.staging.filePath();
  try {
    const result = await parts.runner.run(
      { dir, source: { kind: "pushed", keepAs: kept }, digest, size, diffId },
      open(),
    );
    parts.blobs.adopt(kept, digest);
    return result;
  } catch (error) {
    parts.staging.discard(kept);
    throw error;
  }
}

const ociNames: Partial<Record<Compression, string>> = {
  none: "application/vnd.oci.image.layer.v1.tar",
  gzip: "application/vnd.oci.image.layer.v1.tar+gzip",
  zstd: "application/vnd.oci.image.layer.v1.tar+zstd",
};

async function packLayer(
  parts: ImageParts,
  diffId: string,
): Promise<{ readonly descriptor: Descriptor; readonly path: string }> {
  const layer = parts.layers.get(diffId);
  if (layer === undefined) throw new TscomposeError("image/not-found", `No such layer: ${diffId}`);
  const { blob } = layer;
  if (blob !== undefined && parts.blobs.has(blob.digest)) {
    const mediaType = ociNames[blob.compression] ?? layerMediaType(blob.compression);
    return { descriptor: { mediaType, digest: blob.digest, size: blob.size }, path: parts.blobs.path(blob.digest) };
  }
  const file = parts.staging.filePath();
  const { signal } = new AbortController();
  try {
    const packed = await compressTo(new GrowingFile(file), packVerified(parts.layers.path(layer), diffId), { signal });
    parts.blobs.adopt(file, packed.digest);
    parts.layers.setBlob(diffId, { ...packed, compression: "gzip" });
    const descriptor = { mediaType: ociNames.gzip ?? "", ...packed };
    return { descriptor, path: parts.blobs.path(packed.digest) };
  } catch (error) {
    parts.staging.discard(file);
    throw error;
  }
}
