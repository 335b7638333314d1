/** `push`: layers first, a few in parallel, then the configuration, then the manifest, so that a name in the registry never stands
 *  for something incomplete. Layers the registry has are not sent; those of another repository there are mounted. */
import { createReadStream } from "node:fs";
import { TscomposeError } from "../../errors.ts";
import type { PullOptions } from "../engine.ts";
import type { ProgressMessage } from "../types.ts";
import { SniffingDecoder } from "./decoder.ts";
import type { Image } from "./image-records.ts";
import { compressTo } from "./layers/compress.ts";
import { layerCompression } from "./media-types.ts";
import type { ImageParts } from "./parts.ts";
import { portableImage, type PortableLayer } from "./portable.ts";
import { ProgressStream } from "./progress.ts";
import { openRepository, type RegistryAccess } from "./pull.ts";
import { canonicalName, familiarName, parseReference, repositoryOf, type Reference } from "./reference.ts";
import { credentialsFromConfig } from "./registry/credentials.ts";
import { registryEndpoint } from "./registry/endpoint.ts";
import type { Repository } from "./registry/fetch.ts";
import { putManifest, uploadBlob, type BlobSource } from "./registry/upload.ts";
import { short } from "./remove.ts";

export type PushOptions = PullOptions & { readonly tag: string | undefined };

interface PushContext {
  readonly parts: ImageParts;
  readonly repository: Repository;
  readonly reference: Reference;
  readonly progress: ProgressStream;
}

const parallelUploads = 5;
const countEveryMs = 100;

/** Without a tag every tag of the repository.
 *  @throws before the first message: image/not-found, request/invalid */
export async function pushImage(
  parts: ImageParts,
  access: RegistryAccess,
  options: PushOptions,
): Promise<AsyncIterable<ProgressMessage>> {
  const named = parseReference(options.reference);
  const given = options.tag === undefined || options.tag === "" ? named.tag : options.tag;
  const references = given === undefined ? tagsOf(parts, named) : [parseReference(`${repositoryOf(named)}:${given}`)];
  const images = references.map((reference) => ({ reference, image: parts.catalog.find(canonicalName(reference)) }));
  const missing = images.find(({ image }) => image === undefined);
  if (images.length === 0 || missing !== undefined) {
    throw new TscomposeError(
      "image/not-found",
      `An image does not exist locally with the tag: ${familiarName(missing?.reference ?? named)}`,
      {
        hint: "tag an image with that name first",
      },
    );
  }
  const credentials = options.credentials ?? (await credentialsFromConfig(named.domain, access.env));
  const endpoint = registryEndpoint(named.domain, access.config);
  const others = [
    ...new Set(images.flatMap(({ image }) => (image === undefined ? [] : siblings(parts, image, named)))),
  ];
  const scopes = [`repository:${named.path}:pull,push`, ...others.map((path) => `repository:${path}:pull`)];
  const repository = openRepository(access, {
    endpoint,
    reference: named,
    credentials,
    signal: options.signal,
    scopes,
  });
  const progress = new ProgressStream();
  const pushAll = async (): Promise<void> => {
    progress.push({ status: `The push refers to repository [${repositoryOf(named)}]` });
    for (const { image, reference } of images) {
      if (image !== undefined) await pushOne({ parts, repository, reference, progress }, image);
    }
  };
  void pushAll().then(
    () => progress.end(),
    (error: unknown) => progress.fail(error),
  );
  return progress;
}

function tagsOf(parts: ImageParts, named: Reference): readonly Reference[] {
  const tags = parts.catalog.all().flatMap(({ tags: own }) => own.map(parseReference));
  return tags.filter((reference) => repositoryOf(reference) === repositoryOf(named));
}

/** Repositories of the same registry from which the image, or one that shares a layer with it, came or to which it went. */
function siblings(parts: ImageParts, image: Image, target: Reference): readonly string[] {
  const own = new Set(image.config.rootfs.diff_ids);
  const related = parts.catalog.all().filter(({ config }) => config.rootfs.diff_ids.some((diffId) => own.has(diffId)));
  const repositories = related.flatMap(({ digests }) => digests.map(parseReference));
  return [
    ...new Set(
      repositories
        .filter(({ domain, path }) => domain === target.domain && path !== target.path)
        .map(({ path }) => path),
    ),
  ];
}

async function pushOne(context: PushContext, image: Image): Promise<void> {
  const { parts, repository, reference, progress } = context;
  const release = parts.catalog.hold([image.id, image.manifest.digest, ...image.config.rootfs.diff_ids]);
  try {
    for (const { diffId } of portableImage(parts, image).layers) {
      progress.push({ status: "Preparing", progressDetail: {}, id: short(diffId) });
    }
    await compressLayers(parts, image);
    const { manifest, config, layers } = portableImage(parts, image);
    const distinct = [...new Map(layers.map((layer) => [layer.descriptor.digest, layer])).values()];
    await inParallel(distinct, (layer) => pushLayer(context, image, layer));
    const bytes: BlobSource = {
      descriptor: config.descriptor,
      mountFrom: [],
      open: async function* (offset) {
        yield config.bytes.subarray(offset);
      },
    };
    await uploadBlob(repository, bytes, () => undefined);
    const tag = reference.tag ?? "latest";
    await putManifest(repository, tag, manifest);
    const { digest, size } = manifest.descriptor;
    parts.blobs.write(manifest.bytes);
    const name = canonicalName({ ...reference, tag: undefined, digest });
    parts.catalog.add({ id: image.id, manifest: manifest.descriptor, tags: [], digests: [name] });
    parts.catalog.emit(image, "push", familiarName(reference));
    progress.push({ status: `${tag}: digest: ${digest} size: ${size}` });
    progress.push({ progressDetail: {}, aux: { Tag: tag, Digest: digest, Size: size } });
  } finally {
    release();
  }
}

/** What is stored without compression, or not stored but as a directory, is packed once and kept. */
async function compressLayers(parts: ImageParts, image: Image): Promise<void> {
  const { layers } = portableImage(parts, image);
  for (const layer of layers.filter(wantsPacking)) {
    const file = parts.staging.filePath();
    try {
      const packed = await compressTo(file, unpackedBytes(layer));
      parts.blobs.adopt(file, packed.digest);
      parts.layers.setBlob(layer.diffId, { ...packed, compression: "gzip" });
      if (!layer.packed) parts.blobs.delete(layer.descriptor.digest);
    } catch (error) {
      parts.staging.discard(file);
      throw error;
    }
  }
}

function wantsPacking({ descriptor }: PortableLayer): boolean {
  const compression = layerCompression(descriptor.mediaType);
  return compression !== "gzip" && compression !== "zstd";
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

async function pushLayer(
  { parts, repository, reference, progress }: PushContext,
  image: Image,
  layer: PortableLayer,
): Promise<void> {
  const id = short(layer.diffId);
  const { descriptor } = layer;
  let saidAt = 0;
  const blob: BlobSource = {
    descriptor,
    mountFrom: siblings(parts, image, reference),
    open: (start) => createReadStream(parts.blobs.path(descriptor.digest), { start, highWaterMark: 1 << 20 }),
  };
  const outcome = await uploadBlob(repository, blob, (current) => {
    const now = performance.now();
    if (now - saidAt < countEveryMs) return;
    saidAt = now;
    progress.count(id, "Pushing", { current, total: descriptor.size });
  });
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

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const lane = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      await work(item).catch((error: unknown) => {
        queue.length = 0;
        throw error;
      });
    }
  };
  const results = await Promise.allSettled(Array.from({ length: parallelUploads }, lane));
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
