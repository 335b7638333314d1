/** The image store: what the engine offers about images, put together. In: requests of the API, of containers and of builds. Out:
 *  data, progress messages, directories for overlayfs. Below the data root: `images/` (an OCI layout, records, staging) and `l/`
 *  (unpacked layers). */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { TscomposeError } from "../../errors.ts";
import type { ImageService } from "../engine.ts";
import type { PublishEvent } from "../events.ts";
import type { ImageManifestSummary } from "../types.ts";
import { importRootfs } from "./archive/import.ts";
import { loadArchive } from "./archive/load.ts";
import { saveImages } from "./archive/save.ts";
import { BlobStore } from "./blobs.ts";
import { Catalog } from "./catalog.ts";
import { ChainRecords } from "./chains.ts";
import { commitChanges } from "./commit-changes.ts";
import { commitFinalImage, commitLayer } from "./commit.ts";
import { chainIds } from "./digest.ts";
import { withDiskErrors } from "./disk-errors.ts";
import { filterImages } from "./filters.ts";
import { ImageRecords, type Image } from "./image-records.ts";
import { pickPlatform, runsAs } from "./image-platform.ts";
import { LayerIngest } from "./layers/layer-ingest.ts";
import { LayerStore, type LayerRecord } from "./layers/layer-store.ts";
import { defaultWorkerUrl, inlineRunner, ThreadRunner } from "./layers/runner.ts";
import { OciIndex } from "./oci-index.ts";
import type { ImageParts } from "./parts.ts";
import { hostPlatform, parsePlatform } from "./platform.ts";
import { pullImage, type RegistryAccess } from "./pull.ts";
import { pushImage } from "./push.ts";
import { canonicalName, familiarName, parseReference } from "./reference.ts";
import { pruneImages } from "./prune.ts";
import type { Environment } from "./registry/credentials.ts";
import { inspectDistribution } from "./registry/distribution.ts";
import { HttpConnections } from "./registry/http.ts";
import { logIn } from "./registry/log-in.ts";
import { readRegistryConfig } from "./registry/registry-config.ts";
import { searchRegistry } from "./registry/search.ts";
import { removeImage } from "./remove.ts";
import { StagingArea } from "./staging.ts";
import { joinPlatforms, rememberImages } from "./join-platforms.ts";
import { layerTransfer, type LayerTransfer } from "./transfer.ts";
import type { ImageStore, StoredImage } from "./types.ts";
import { familiar, historyOf, inspectImage, manifestOf, summarise, type ImageFacts } from "./views.ts";

export interface ImageStoreOptions {
  readonly dataRoot: string;
  readonly runRoot: string;
  /** Hears of what was set aside. */
  readonly log: (message: string) => void;
  readonly emit: PublishEvent;
  /** For docker's configuration, mirrors and credential helpers; default that of the process. */
  readonly env?: Environment;
  /** Program of the threads that unpack layers; default the one beside the bundle, and none when run from the sources. */
  readonly workerUrl?: URL;
}

/** One for a data root at a time: the engine's lock sees to that. */
export function createImageStore(
  options: ImageStoreOptions,
): ImageStore & ImageService & LayerTransfer & { close(): Promise<void> } {
  const env = options.env ?? process.env;
  const parts = openParts(options);
  const config = readRegistryConfig(options.dataRoot, env);
  const access: RegistryAccess = { config, connections: new HttpConnections(config.systemCertificates), env };
  const { catalog } = parts;
  const closing = new AbortController();
  const untilClosed = (signal: AbortSignal): AbortSignal => AbortSignal.any([signal, closing.signal]);
  const chosen = (ref: string, platform: string | undefined): Image =>
    pickPlatform(catalog.platformsOf(catalog.resolve(ref)), ref, { platform, host: parts.host });
  const allManifests = (image: Image): readonly ImageManifestSummary[] =>
    catalog.platformsOf(image).map((one) => manifestOf(one, facts(parts, one)));
  let pruning = false;
  return {
    resolve: (ref, platform) => {
      const image = catalog.resolve(ref);
      if (platform === undefined) return storedImage(parts, image);
      const wanted = parsePlatform(platform, parts.host);
      return storedImage(parts, catalog.platformsOf(image).find(({ config }) => runsAs(config, wanted)) ?? image);
    },
    acquire: (imageId, user) => catalog.acquire(imageId, user),
    release: (imageId, containerId) => catalog.release(imageId, containerId),
    commitLayer: (parent, upperDir) => commitLayer(parts, parent, upperDir),
    commitImage: async (config, tags) => commitFinalImage(parts, config, tags).id,
    joinPlatforms: (ids, tags) => joinPlatforms(parts, ids, tags),
    rememberImages: () => rememberImages(catalog),
    commitChanges: (request) => commitChanges(parts, request),
    layerDirs: (chainId) => chainDirs(parts, chainId),
    layerDirectory: (diffId) => {
      const layer = parts.layers.get(diffId);
      return layer === undefined ? undefined : parts.layers.path(layer);
    },
    releaseChain: (chainId) => parts.chains.unpin(chainId),
    keptChains: () => parts.chains.pinned(),
    collectLayers: () => void catalog.collectGarbage(),
    imageLayers: () => new Set(catalog.all().flatMap(({ config }) => config.rootfs.diff_ids)),
    keepChain: (chainId) => parts.chains.pin(parts.chains.diffIds(chainId)),
    ...layerTransfer(parts, access),

    list: ({ filters, manifests }) => {
      const now = Date.now() / 1000;
      const named = catalog.all().filter((image) => !catalog.isFurtherPlatform(image));
      const images = filterImages(named, { filters, now, resolve: (ref) => catalog.resolve(ref) });
      const newestFirst = images.toSorted(
        (a, b) => Date.parse(b.config.created ?? "") - Date.parse(a.config.created ?? ""),
      );
      return Promise.resolve(
        newestFirst.map((image) => {
          const found = facts(parts, image);
          return {
            ...summarise(image, found),
            ...(manifests === true ? { Manifests: allManifests(image) } : {}),
          };
        }),
      );
    },
    inspect: async (ref, { platform, manifests } = {}) => {
      if (manifests === true && platform !== undefined) {
        throw new TscomposeError("request/invalid", "conflicting options: manifests and platform cannot both be set");
      }
      const image = chosen(ref, platform);
      const found = facts(parts, image);
      return { ...inspectImage(image, found), ...(manifests === true ? { Manifests: allManifests(image) } : {}) };
    },
    history: async (ref, { platform } = {}) => {
      const image = chosen(ref, platform);
      return historyOf(image, facts(parts, image).layerSizes);
    },
    pull: (request) => pullImage(parts, access, { ...request, signal: untilClosed(request.signal) }),
    push: (request) => pushImage(parts, access, { ...request, signal: untilClosed(request.signal) }),
    save: async (refs, names, { platform } = {}) => {
      const images = refs.map((ref) => ({ ref, image: chosen(ref, platform) }));
      return saveImages(parts, images, names);
    },
    importTar: (tar, request) => withDiskErrors(importRootfs(parts, tar, request)),
    load: (archive, { platform } = {}) => withDiskErrors(loadArchive(parts, archive, platform)),
    tag: async (ref, repo, tag) => {
      const image = catalog.resolve(ref);
      const target = { ...parseReference(repo), tag: tag === undefined || tag === "" ? undefined : tag };
      const checked = parseReference(
        `${canonicalName({ ...target, tag: undefined })}:${target.tag ?? parseReference(repo).tag ?? "latest"}`,
      );
      catalog.add({ id: image.id, manifest: image.manifest, tags: [canonicalName(checked)], digests: [] });
      catalog.emit(image, "tag", familiarName(checked));
    },
    remove: async (ref, { force }) => removeImage(catalog, ref, { force }),
    prune: async (filters) => {
      if (pruning) throw new TscomposeError("request/conflict", "a prune operation is already running");
      pruning = true;
      try {
        return pruneImages(catalog, filters);
      } finally {
        pruning = false;
      }
    },
    logIn: (credentials, signal) => logIn(access, credentials, untilClosed(signal)),
    distribution: (request) => inspectDistribution(access, { ...request, signal: untilClosed(request.signal) }),
    search: (request) => searchRegistry(access, { ...request, signal: untilClosed(request.signal) }),
    close: async () => {
      closing.abort();
      access.connections.close();
      parts.index.flush();
      await parts.runner.close();
      await parts.ingest.settled();
      await parts.staging.settled();
    },
  };
}

function openParts({ dataRoot, log, emit, workerUrl = defaultWorkerUrl() }: ImageStoreOptions): ImageParts {
  const dir = join(dataRoot, "images");
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const corruptDir = join(dir, "corrupt");
  const staging = new StagingArea(join(dir, "tmp"));
  const blobs = new BlobStore(dir, staging);
  const layers = new LayerStore({
    dir: join(dataRoot, "l"),
    recordDir: join(dir, "layers"),
    corruptDir,
    staging,
    warn: log,
  });
  const isComplete = (diffIds: readonly string[]): boolean => diffIds.every((id) => layers.get(id) !== undefined);
  const records = new ImageRecords({
    dir: join(dir, "records"),
    corruptDir,
    blobs,
    warn: log,
    isComplete: ({ rootfs }) => isComplete(rootfs.diff_ids),
    onChange: () => index.changed(),
  });
  const index: OciIndex = new OciIndex({ dir, blobs, images: () => records.all() });
  const chains = new ChainRecords({ dir: join(dir, "chains"), corruptDir, warn: log, isComplete });
  const ingest = new LayerIngest({ layers, staging, syncDir: dir });
  ingest.syncSoon();
  return {
    staging,
    blobs,
    layers,
    chains,
    ingest,
    runner: workerUrl === undefined ? inlineRunner : new ThreadRunner(workerUrl),
    catalog: new Catalog({ records, layers, blobs, chains, emit }),
    index,
    host: hostPlatform(process.arch),
  };
}

function storedImage(parts: ImageParts, image: Image): StoredImage {
  const { sizeBytes, layerDirs } = facts(parts, image);
  return {
    id: image.id,
    config: image.config,
    manifestDigest: image.manifest.digest,
    repoTags: familiar(image.tags),
    repoDigests: familiar(image.digests),
    layerDirs,
    chainId: chainIds(image.config.rootfs.diff_ids).at(-1),
    sizeBytes,
  };
}

function chainDirs(parts: ImageParts, chainId: string): readonly string[] {
  const layers = parts.chains.diffIds(chainId).map((diffId) => {
    const layer = parts.layers.get(diffId);
    if (layer === undefined) throw new TscomposeError("image/not-found", `No such layer: ${diffId}`);
    return layer;
  });
  return stackOf(parts, layers);
}

/** overlayfs refuses a directory that is given twice. Of a layer that occurs twice only the upper one counts: whatever the lower one
 *  shows or hides, the upper one shows or hides too. */
function stackOf(parts: ImageParts, layers: readonly LayerRecord[]): readonly string[] {
  const dirs = layers.map((layer) => parts.layers.path(layer));
  return dirs.filter((dir, i) => dirs.lastIndexOf(dir) === i);
}

function facts(parts: ImageParts, image: Image): ImageFacts {
  const layers = parts.catalog.layersOf(image);
  return {
    sizeBytes: layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    layerDirs: stackOf(parts, layers),
    layerSizes: layers.map(({ sizeBytes }) => sizeBytes),
    containers: parts.catalog.users(image.id).map(({ containerId }) => containerId),
    packedBytes: packedBytes(parts, image, layers),
  };
}

function packedBytes({ blobs }: ImageParts, image: Image, layers: readonly LayerRecord[]): number {
  const digests = [image.id, image.manifest.digest, ...layers.flatMap(({ blob }) => blob?.digest ?? [])];
  return [...new Set(digests)].reduce((sum, digest) => sum + (blobs.size(digest) ?? 0), 0);
}
