/** One layer of a push: sent as it is stored, or packed and sent at the same time. */
import { SniffingDecoder } from "./decoder.ts";
import { GrowingFile } from "./growing-file.ts";
import { compressTo } from "./layers/compress.ts";
import { layerCompression, layerMediaType } from "./media-types.ts";
import type { ImageParts } from "./parts.ts";
import type { PortableLayer } from "./portable.ts";
import type { ProgressStream } from "./progress.ts";
import { readPieces } from "./read-pieces.ts";
import type { Reference } from "./reference.ts";
import type { Repository } from "./registry/fetch.ts";
import { uploadBlob, uploadGrowing, type BlobSource } from "./registry/upload.ts";
import { short } from "./remove.ts";

export interface PushContext {
  readonly parts: ImageParts;
  readonly repository: Repository;
  readonly reference: Reference;
  readonly progress: ProgressStream;
}

const countEveryMs = 100;

/** @param mountFrom other repositories of the registry that may have it */
export async function pushLayer(
  { parts, repository, progress }: PushContext,
  { diffId, descriptor }: PortableLayer,
  mountFrom: readonly string[],
): Promise<void> {
  const id = short(diffId);
  const blob = storedBlob(parts.blobs.path(descriptor.digest), { descriptor, mountFrom });
  const outcome = await uploadBlob(repository, blob, counter(progress, id, descriptor.size));
  switch (outcome.kind) {
    case "exists":
      progress.push({ status: "Layer already exists", progressDetail: {}, id });
      return;
    case "mounted":
      progress.push({ status: `Mounted from ${outcome.from}`, progressDetail: {}, id });
      return;
    case "uploaded":
      progress.push({ status: "Pushed", progressDetail: {}, id });
      return;
  }
}

/** Registries that everybody can pull from want gzip or zstd. */
export function wantsPacking({ descriptor }: PortableLayer): boolean {
  const compression = layerCompression(descriptor.mediaType);
  return compression !== "gzip" && compression !== "zstd";
}

/** What is stored without compression, or not stored but as a directory, is packed once, and kept as it was sent. */
export async function packAndPushLayer(
  { parts, repository, progress }: PushContext,
  layer: PortableLayer,
): Promise<void> {
  const id = short(layer.diffId);
  const file = new GrowingFile(parts.staging.filePath());
  const stop = new AbortController();
  const signal = AbortSignal.any([repository.signal, stop.signal]);
  const total = parts.layers.get(layer.diffId)?.tarBytes ?? layer.descriptor.size;
  const packing = compressTo(file, layer.packed ? layer.open() : unpackedBytes(layer), {
    signal,
    onTaken: counter(progress, id, total),
  });
  const finished = packing.then(({ digest, size }) =>
    storedBlob(file.path, { descriptor: { mediaType: layerMediaType("gzip"), digest, size }, mountFrom: [] }),
  );
  finished.catch(() => undefined); // thrown to who waits for it, if anybody still does
  try {
    await uploadGrowing(repository, { open: () => file.read(), finished });
    const packed = await packing;
    parts.blobs.link(file.path, packed.digest);
    parts.layers.setBlob(layer.diffId, { ...packed, compression: "gzip" });
    if (!layer.packed) parts.blobs.delete(layer.descriptor.digest);
    progress.push({ status: "Pushed", progressDetail: {}, id });
  } finally {
    stop.abort();
    await packing.catch(() => undefined);
    parts.staging.discard(file.path);
  }
}

function storedBlob(path: string, blob: Pick<BlobSource, "descriptor" | "mountFrom">): BlobSource {
  return { ...blob, open: (start) => readPieces(path, { start }) };
}

/** Says how far it is, but not too often. */
function counter(progress: ProgressStream, id: string, total: number): (current: number) => void {
  let saidAt = 0;
  return (current) => {
    const now = performance.now();
    if (now - saidAt < countEveryMs) return;
    saidAt = now;
    progress.count(id, "Pushing", { current, total });
  };
}

async function* unpackedBytes(layer: PortableLayer): AsyncGenerator<Buffer> {
  const ready: Buffer[] = [];
  const decoder = new SniffingDecoder((chunk) => ready.push(Buffer.from(chunk)));
  try {
    for await (const chunk of layer.open()) {
      await decoder.write(chunk);
      yield* ready.splice(0);
    }
    await decoder.end();
    yield* ready.splice(0);
  } finally {
    decoder.close();
  }
}
