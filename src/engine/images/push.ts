/** `push`: layers and the configuration, a few in parallel, then the manifest, so that a name in the registry never stands
 *  for something incomplete. Layers the registry has are not sent; those of another repository there are mounted. */
import { TscomposeError } from "../../errors.ts";
import type { PullOptions } from "../engine.ts";
import type { ProgressMessage } from "../types.ts";
import { pickPlatform, platformOf } from "./image-platform.ts";
import type { Image } from "./image-records.ts";
import type { ImageParts } from "./parts.ts";
import { indexFor, portableImage, type IndexedManifest, type PortableImage } from "./portable.ts";
import { ProgressStream } from "./progress.ts";
import { packAndPushLayer, pushLayer, wantsPacking, type PushContext } from "./push-layer.ts";
import { openRepository, type RegistryAccess } from "./pull.ts";
import { canonicalName, familiarName, parseReference, repositoryOf, type Reference } from "./reference.ts";
import { registryEndpoint } from "./registry/endpoint.ts";
import { putManifest, uploadBlob, type BlobSource } from "./registry/upload.ts";
import { short } from "./remove.ts";

export type PushOptions = PullOptions & { readonly tag: string | undefined };

const parallelUploads = 5;
/** Each takes some 12 MB, and all processors that are free. */
const parallelPacking = 2;

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
  const chosen = images.flatMap(({ image, reference }) => {
    if (image === undefined) return [];
    const all = parts.catalog.platformsOf(image);
    const any = options.platform === undefined || options.platform === "";
    const picked = any ? all : [pickPlatform(all, familiarName(reference), { ...options, host: parts.host })];
    return [{ reference, images: picked }];
  });
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
  const { credentials } = options;
  const endpoint = registryEndpoint(named.domain, access.config);
  const others = [
    ...new Set(chosen.flatMap(({ images: all }) => all.flatMap((image) => siblings(parts, image, named)))),
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
    for (const { reference, images: platforms } of chosen) {
      await pushReference({ parts, repository, reference, progress }, platforms);
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

/** One platform by its manifest; several as an index, whose manifests have no tags. */
async function pushReference(context: PushContext, platforms: readonly Image[]): Promise<void> {
  const { parts, repository, reference, progress } = context;
  const tag = reference.tag ?? "latest";
  const pushed: IndexedManifest[] = [];
  for (const image of platforms) {
    const manifest = await pushContent(context, image, platforms.length > 1 ? undefined : tag);
    pushed.push({ descriptor: manifest.descriptor, platform: platformOf(image.config) });
  }
  const index = pushed.length > 1 ? indexFor(pushed) : undefined;
  if (index !== undefined) await putManifest(repository, tag, index);
  const top = index?.descriptor ?? pushed[0]?.descriptor;
  if (top === undefined) return;
  const name = canonicalName({ ...reference, tag: undefined, digest: top.digest });
  platforms.forEach(({ id, manifest }, i) => {
    parts.catalog.add({ id, manifest: pushed[i]?.descriptor ?? manifest, tags: [], digests: [name] });
  });
  const [first] = platforms;
  if (first !== undefined) parts.catalog.emit(first, "push", familiarName(reference));
  progress.push({ status: `${tag}: digest: ${top.digest} size: ${top.size}` });
  progress.push({ progressDetail: {}, aux: { Tag: tag, Digest: top.digest, Size: top.size } });
}

/** @param tag undefined: under its digest alone */
async function pushContent(
  context: PushContext,
  image: Image,
  tag: string | undefined,
): Promise<PortableImage["manifest"]> {
  const { parts, repository, reference, progress } = context;
  const release = parts.catalog.hold([image.id, image.manifest.digest, ...image.config.rootfs.diff_ids]);
  try {
    const { layers, config } = portableImage(parts, image);
    for (const { diffId } of layers) progress.push({ status: "Preparing", progressDetail: {}, id: short(diffId) });
    const distinct = [...new Map(layers.map((layer) => [layer.descriptor.digest, layer])).values()];
    const bytes: BlobSource = {
      descriptor: config.descriptor,
      mountFrom: [],
      open: async function* (start) {
        yield config.bytes.subarray(start);
      },
    };
    const mountFrom = siblings(parts, image, reference);
    const [unpacked, packed] = [distinct.filter(wantsPacking), distinct.filter((layer) => !wantsPacking(layer))];
    await allInParallel([
      {
        atOnce: parallelUploads,
        work: [
          async () => void (await uploadBlob(repository, bytes, () => undefined)),
          ...packed.map((layer) => () => pushLayer(context, layer, mountFrom)),
        ],
      },
      { atOnce: parallelPacking, work: unpacked.map((layer) => () => packAndPushLayer(context, layer)) },
    ]);
    // What was packed has its final name only now.
    const { manifest } = portableImage(parts, image);
    await putManifest(repository, tag ?? manifest.descriptor.digest, manifest);
    parts.blobs.write(manifest.bytes);
    return manifest;
  } finally {
    release();
  }
}

interface Group {
  readonly atOnce: number;
  readonly work: readonly (() => Promise<void>)[];
}

/** After the first failure nothing is begun any more. @throws it, when what was begun has ended */
async function allInParallel(groups: readonly Group[]): Promise<void> {
  let failure: { readonly reason: unknown } | undefined;
  const lanes = groups.flatMap(({ atOnce, work }) => {
    const queue = [...work];
    return Array.from({ length: Math.min(atOnce, queue.length) }, async () => {
      for (let next = queue.shift(); next !== undefined && failure === undefined; next = queue.shift()) {
        await next().catch((reason: unknown) => (failure ??= { reason }));
      }
    });
  });
  await Promise.all(lanes);
  if (failure !== undefined) throw failure.reason;
}
