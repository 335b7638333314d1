/** `load`: an archive of images -> images in the store, with Docker's messages. Nothing is tagged before all layers of the image
 *  are verified and unpacked. */
import { TscomposeError } from "../../../errors.ts";
import type { ProgressMessage } from "../../types.ts";
import { platformOf, runsAs } from "../image-platform.ts";
import { formatPlatform, parsePlatform } from "../platform.ts";
import type { ImageParts } from "../parts.ts";
import { algorithmOf, chainIds, digestOf } from "../digest.ts";
import { mismatch } from "../layers/layer-job.ts";
import { layerMediaType, dockerConfig, sniffCompression } from "../media-types.ts";
import { renderManifest, type Descriptor } from "../manifest.ts";
import { familiar } from "../views.ts";
import { archiveContents } from "./contents.ts";
import type { ArchivedImage } from "./members.ts";
import { ArchiveSpool } from "./spool.ts";
import { closeSync, openSync, readSync } from "node:fs";

/** @param platform only images that run there; of a multi-platform image that one
 *  @throws image/invalid, image/digest-mismatch, host/no-space, image/not-found for a platform that is not in it */
export async function* loadArchive(
  parts: ImageParts,
  archive: AsyncIterable<Buffer>,
  platform?: string,
): AsyncGenerator<ProgressMessage> {
  const given = platform === undefined || platform === "" ? undefined : parsePlatform(platform, parts.host);
  const spool = new ArchiveSpool(parts.staging);
  try {
    await spool.read(archive);
    const members = {
      has: (name: string) => spool.has(name),
      names: () => spool.names(),
      document: (name: string) => spool.document(name),
      digest: (name: string) => spool.digest(name),
    };
    const images = archiveContents(members, given ?? parts.host);
    const wanted = given === undefined ? images : images.filter(({ config }) => runsAs(config, given));
    if (given !== undefined && wanted.length === 0) {
      const has = [...new Set(images.map(({ config }) => formatPlatform(platformOf(config))))].join(", ");
      throw new TscomposeError("image/not-found", `the archive holds no image for ${formatPlatform(given)}`, {
        hint: `it has ${has}`,
      });
    }
    for (const image of wanted) yield* loadImage(parts, spool, image);
  } finally {
    spool.discard();
  }
}

async function* loadImage(
  parts: ImageParts,
  spool: ArchiveSpool,
  image: ArchivedImage,
): AsyncGenerator<ProgressMessage> {
  const { blobs, catalog } = parts;
  const id = digestOf(image.configBytes);
  const diffIds = image.config.rootfs.diff_ids;
  const chains = chainIds(diffIds);
  const release = catalog.hold([id, ...diffIds, ...image.layerMembers.map((name) => spool.digest(name))]);
  try {
    const missing = diffIds.flatMap((diffId, i) => (parts.layers.get(diffId) === undefined ? [i] : []));
    for (const i of missing) yield progress(chains[i] ?? "", 0, spool.file(image.layerMembers[i] ?? "").size);
    const layers = await Promise.all(diffIds.map((diffId, i) => loadLayer(parts, spool, { image, i, diffId })));
    parts.layers.settleImpliedDirs(diffIds);
    for (const i of missing) yield progress(chains[i] ?? "", layers[i]?.size ?? 0, layers[i]?.size ?? 0);
    blobs.write(image.configBytes);
    const config: Descriptor = { mediaType: dockerConfig, digest: id, size: image.configBytes.length };
    const bytes = image.manifest?.bytes ?? renderManifest(config, layers);
    const descriptor = image.manifest?.descriptor ?? {
      mediaType: manifestType(bytes),
      digest: digestOf(bytes),
      size: bytes.length,
    };
    blobs.write(bytes);
    const added = catalog.add({ id, manifest: descriptor, tags: image.tags, digests: [] });
    catalog.emit(added, "load", familiar(image.tags)[0] ?? id);
    if (image.tags.length === 0) yield { stream: `Loaded image ID: ${id}\n` };
    for (const name of familiar(image.tags)) yield { stream: `Loaded image: ${name}\n` };
  } finally {
    release();
  }
}

async function loadLayer(
  parts: ImageParts,
  spool: ArchiveSpool,
  layer: { readonly image: ArchivedImage; readonly i: number; readonly diffId: string },
): Promise<Descriptor> {
  const member = layer.image.layerMembers[layer.i] ?? "";
  const file = spool.file(member);
  const described = layer.image.manifest?.layers[layer.i];
  if (described !== undefined && algorithmOf(described.digest) === "sha256" && described.digest !== file.digest) {
    throw mismatch("layer in the archive", described.digest, file.digest);
  }
  const compression = sniffCompression(firstBytes(file.path));
  await parts.ingest.ensure(layer.diffId, (dir) =>
    parts.runner.run({
      dir,
      source: { kind: "file", path: file.path },
      digest: described?.digest ?? file.digest,
      size: described?.size ?? file.size,
      diffId: layer.diffId,
    }),
  );
  const descriptor = described ?? { mediaType: layerMediaType(compression), digest: file.digest, size: file.size };
  // A sha512 name was not compared where the layer was there already; without its blob the layer is packed anew when needed.
  if (descriptor.digest === file.digest) parts.blobs.link(file.path, descriptor.digest);
  return descriptor;
}

function manifestType(bytes: Buffer): string {
  const { mediaType } = JSON.parse(bytes.toString("utf8")) as { readonly mediaType: string };
  return mediaType;
}

function firstBytes(path: string): Buffer {
  const fd = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(6);
    return buffer.subarray(0, readSync(fd, buffer));
  } finally {
    closeSync(fd);
  }
}

function progress(chainId: string, current: number, total: number): ProgressMessage {
  return { status: "Loading layer", id: chainId.slice(7, 19), progressDetail: { current, total } };
}
