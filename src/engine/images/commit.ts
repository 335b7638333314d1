/** Layers and images that are made here: by commits, imports and builds. */
import { createHash } from "node:crypto";
import { TscomposeError } from "../../errors.ts";
import type { OciImageConfig } from "../types.ts";
import { digestOf, nextChainId } from "./digest.ts";
import type { Image } from "./image-records.ts";
import { packDirectory } from "./layers/pack.ts";
import { renderManifest, type Descriptor } from "./manifest.ts";
import { dockerConfig, dockerManifest, layerMediaType } from "./media-types.ts";
import type { ImageParts } from "./parts.ts";
import { canonicalName, parseReference, withDefaultTag } from "./reference.ts";

/** Files between two pauses for everything else the engine does. */
const bytesBetweenPauses = 16 * 1024 * 1024;

/** Takes `upperDir` over as a layer. The tar itself is not kept: the directory gives the same bytes again. */
export async function commitLayer(
  parts: ImageParts,
  parentChainId: string | undefined,
  upperDir: string,
): Promise<{ readonly diffId: string; readonly chainId: string; readonly sizeBytes: number }> {
  const below = parentChainId === undefined ? [] : parts.chains.diffIds(parentChainId);
  const { digest: diffId, tarBytes, fileBytes } = await measureTar(upperDir);
  const record = parts.layers.add(upperDir, {
    diffId,
    sizeBytes: fileBytes,
    tarBytes,
    impliedDirs: [],
    blob: undefined,
  });
  parts.chains.pin([...below, diffId]);
  parts.ingest.syncSoon();
  return { diffId, chainId: nextChainId(parentChainId, diffId), sizeBytes: record.sizeBytes };
}

async function measureTar(
  directory: string,
): Promise<{ readonly digest: string; readonly tarBytes: number; readonly fileBytes: number }> {
  const hash = createHash("sha256");
  let tarBytes = 0;
  let pauseAt = bytesBetweenPauses;
  const counted = { fileBytes: 0 };
  for (const chunk of packDirectory(directory, { count: counted })) {
    hash.update(chunk);
    tarBytes += chunk.length;
    if (tarBytes < pauseAt) continue;
    pauseAt = tarBytes + bytesBetweenPauses;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { digest: `sha256:${hash.digest("hex")}`, tarBytes, fileBytes: counted.fileBytes };
}

/** @throws image/invalid when a layer is not in the store */
export function commitImage(parts: ImageParts, config: OciImageConfig, tags: readonly string[]): Image {
  const layers = config.rootfs.diff_ids.map((diffId): Descriptor => {
    const layer = parts.layers.get(diffId);
    if (layer === undefined) throw new TscomposeError("image/invalid", `layer ${diffId} is not in the store`);
    if (layer.blob === undefined) return { mediaType: layerMediaType("none"), digest: diffId, size: layer.tarBytes };
    const { digest, size, compression } = layer.blob;
    return { mediaType: layerMediaType(compression), digest, size };
  });
  const configBytes = Buffer.from(JSON.stringify(config));
  const id = parts.blobs.write(configBytes);
  const manifest = renderManifest({ mediaType: dockerConfig, digest: id, size: configBytes.length }, layers);
  const digest = parts.blobs.write(manifest);
  return parts.catalog.add({
    id,
    manifest: { mediaType: dockerManifest, digest, size: manifest.length },
    tags: tags.map((tag) => canonicalName(withDefaultTag(parseReference(tag)))),
    digests: [],
  });
}

/** As `commitImage`; from then on the image keeps the layers, not the chain. */
export function commitFinalImage(parts: ImageParts, config: OciImageConfig, tags: readonly string[]): Image {
  const known = parts.catalog.find(digestOf(JSON.stringify(config)));
  const image = commitImage(parts, config, tags);
  const top = parts.chains.topOf(config.rootfs.diff_ids);
  if (top !== undefined) parts.chains.unpin(top);
  if (known === undefined) parts.catalog.emit(image, "create", image.id);
  return image;
}
