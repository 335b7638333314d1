/** Writes what the steps of a build gave, for builds on other machines. Layers of base images are not among it: who builds has them.
 *  Source: BuildKit cache/remotecache/export.go for the manifest's two forms. */
import { createReadStream } from "node:fs";
import { digestOf } from "../../images/digest.ts";
import { ociIndex, ociManifest } from "../../images/media-types.ts";
import type { Descriptor } from "../../images/manifest.ts";
import { openFolder } from "../context/folder-mirrors.ts";
import { cacheConfigType, createdKey, renderCacheConfig, uncompressedKey, type CacheLayer } from "./cache-config.ts";
import type { CacheExport, CacheForm } from "./cache-entry.ts";
import type { CachePlace } from "./cache-place.ts";
import { folderPlace } from "./folder-place.ts";
import type { CacheTools } from "./import-cache.ts";
import { registryPlace } from "./registry-place.ts";

/** What one step gave. */
export interface SolvedStep {
  readonly id: number;
  /** The step that its files are on top of; undefined: an image or nothing. */
  readonly parent: number | undefined;
  /** All that the result can be found by. */
  readonly keys: readonly string[];
  readonly diffId: string;
  readonly createdMs: number;
}

/** How many layers are packed and sent at the same time. */
const lanes = 3;

/** @param steps each after the one that it is on top of
 *  @throws what packing and the place throw */
export async function exportCache(
  tools: CacheTools,
  target: Exclude<CacheExport, { readonly kind: "inline" }>,
  steps: readonly SolvedStep[],
): Promise<void> {
  const letGo = tools.images.holdLayers(steps.map(({ diffId }) => diffId));
  const place = await openPlace(tools, target);
  try {
    const blobs = await sendLayers(tools, place, steps);
    const layers = layersOf(steps, blobs);
    const records = steps.flatMap(({ keys }, layer) => keys.map((key) => ({ key, layer })));
    const bytes = renderCacheConfig(layers, records);
    const descriptor = { mediaType: cacheConfigType, digest: digestOf(bytes), size: bytes.length };
    await place.putBlob(descriptor, (offset) => once(bytes.subarray(offset)));
    await place.putManifest(manifestOf(layers, descriptor, target.form));
  } finally {
    place.close();
    letGo();
  }
}

async function openPlace(
  { images, credentialsFor, signal }: CacheTools,
  target: Exclude<CacheExport, { readonly kind: "inline" }>,
): Promise<CachePlace> {
  if (target.kind === "local")
    return folderPlace({ fd: openFolder(target.folder), path: target.folder.path, name: target.tag });
  const { reference } = target;
  const at = { credentials: await credentialsFor(reference.domain), actions: "pull,push", signal };
  return registryPlace(await images.repository(reference, at), reference);
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

async function sendLayers(
  { images, signal }: CacheTools,
  place: CachePlace,
  steps: readonly SolvedStep[],
): Promise<ReadonlyMap<string, Descriptor>> {
  const sent = new Map<string, Descriptor>();
  const waiting = [...new Set(steps.map(({ diffId }) => diffId))];
  const lane = async (): Promise<void> => {
    for (let diffId = waiting.shift(); diffId !== undefined; diffId = waiting.shift()) {
      signal.throwIfAborted();
      const { descriptor, path } = await images.packLayer(diffId);
      await place.putBlob(descriptor, (start) => createReadStream(path, { start, highWaterMark: 1 << 20 }));
      sent.set(diffId, descriptor);
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: lanes }, lane));
  const failed = ended.find(({ status }) => status === "rejected");
  if (failed?.status === "rejected") throw failed.reason;
  return sent;
}

function layersOf(steps: readonly SolvedStep[], blobs: ReadonlyMap<string, Descriptor>): readonly CacheLayer[] {
  const indexes = new Map(steps.map(({ id }, index) => [id, index]));
  return steps.map(({ parent, diffId, createdMs }): CacheLayer => {
    const descriptor = blobs.get(diffId);
    if (descriptor === undefined) throw new Error(`layer ${diffId} was not sent`);
    return { descriptor, diffId, createdMs, parent: parent === undefined ? -1 : (indexes.get(parent) ?? -1) };
  });
}

function manifestOf(
  layers: readonly CacheLayer[],
  config: Descriptor,
  form: CacheForm,
): { readonly bytes: Buffer; readonly descriptor: Descriptor } {
  const distinct = new Map(layers.map((layer) => [layer.descriptor.digest, layer]));
  const descriptors = [...distinct.values()].map(({ descriptor, diffId, createdMs }) => ({
    ...descriptor,
    annotations: {
      [createdKey]: new Date(createdMs).toISOString(),
      [uncompressedKey]: diffId,
    },
  }));
  const mediaType = form === "manifest" ? ociManifest : ociIndex;
  const document =
    form === "manifest"
      ? { schemaVersion: 2, mediaType, config, layers: descriptors }
      : { schemaVersion: 2, mediaType, manifests: [...descriptors, config] };
  const bytes = Buffer.from(JSON.stringify(document));
  return { bytes, descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length } };
}
