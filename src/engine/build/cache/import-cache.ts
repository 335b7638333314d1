/** Results of steps that a build takes from exported caches. Whoever can write such a cache decides what a step of this build gives, so it is
 *  used by the builds that name it and by no others: what comes from it never becomes a record of the engine's own cache. What is built on
 *  top of it does, under the key of the files that are really below. Contents are always those of their digests. */
import { errorMessage, isTscomposeError } from "../../../errors.ts";
import type { ForeignLayer, LayerTransfer } from "../../images/transfer.ts";
import { isObject, parseObject } from "../../images/json.ts";
import { parseConfig, parseDescriptor, type Descriptor, type Manifest } from "../../images/manifest.ts";
import { choosePlatform, formatPlatform, type Platform } from "../../images/platform.ts";
import { canonicalName, familiarName, type Reference } from "../../images/reference.ts";
import type { FetchedManifest } from "../../images/registry/fetch.ts";
import type { ImageStore } from "../../images/types.ts";
import type { RegistryCredentials } from "../../types.ts";
import { openFolder } from "../context/folder-mirrors.ts";
import { TscomposeError } from "../../../errors.ts";
import {
  cacheConfigType,
  inlineKey,
  parseCacheConfig,
  parseInline,
  parseTime,
  type AnnotatedDescriptor,
  type CacheOffer,
} from "./cache-config.ts";
import type { CacheImport } from "./cache-entry.ts";
import type { CachePlace } from "./cache-place.ts";
import { folderPlace } from "./folder-place.ts";
import { registryPlace } from "./registry-place.ts";
import type { CachedResult } from "../solve/step-cache.ts";

export interface CacheTools {
  readonly images: ImageStore & LayerTransfer;
  readonly platform: Platform;
  readonly credentialsFor: (domain: string) => Promise<RegistryCredentials | undefined>;
  /** Of what does not help, but does no harm either. */
  readonly warn: (text: string) => void;
  readonly signal: AbortSignal;
  /** Called at the end of the build. */
  readonly defer: (release: () => void) => void;
}

interface Offer {
  readonly layer: ForeignLayer;
  readonly createdMs: number;
  readonly from: string;
}

export class ImportedSteps {
  readonly #tools: CacheTools;
  readonly #offers = new Map<string, Offer>();
  readonly #taking = new Map<string, Promise<CachedResult | undefined>>();

  private constructor(tools: CacheTools) {
    this.#tools = tools;
  }

  /** Reads what the sources offer; one that cannot be read is a warning. Of the same step the first that has it counts. */
  static async open(tools: CacheTools, sources: readonly CacheImport[]): Promise<ImportedSteps> {
    const imported = new ImportedSteps(tools);
    const read = await Promise.all(sources.map((source) => offersOf(tools, source)));
    for (const [key, offer] of read.flat()) if (!imported.#offers.has(key)) imported.#offers.set(key, offer);
    return imported;
  }

  /** The result of a step by one of its keys, on top of `parentChainId`; undefined where no source has it, or none can give it. */
  take(key: string, parentChainId: string | undefined): Promise<CachedResult | undefined> {
    const id = `${key} ${parentChainId ?? ""}`;
    const known = this.#taking.get(id);
    if (known !== undefined) return known;
    const offer = this.#offers.get(key);
    const taking = offer === undefined ? Promise.resolve(undefined) : this.#take(offer, parentChainId);
    this.#taking.set(id, taking);
    return taking;
  }

  has(key: string): boolean {
    return this.#offers.has(key);
  }

  async #take({ layer, createdMs, from }: Offer, parentChainId: string | undefined): Promise<CachedResult | undefined> {
    const { images, signal, warn, defer } = this.#tools;
    try {
      const { chainId, sizeBytes, release } = await images.takeLayer(parentChainId, layer);
      defer(release);
      return { chainId, diffId: layer.diffId, sizeBytes, createdMs };
    } catch (error) {
      signal.throwIfAborted();
      if (isTscomposeError(error, "host/no-space")) throw error;
      warn(`a step of the build cache ${from} cannot be used: ${errorMessage(error)}`);
      return undefined;
    }
  }
}

type Offers = readonly (readonly [key: string, offer: Offer])[];

async function offersOf(tools: CacheTools, source: CacheImport): Promise<Offers> {
  const name = source.kind === "local" ? `${source.folder.path}:${source.name}` : familiarName(source.reference);
  try {
    const local = source.kind === "registry" ? localOffers(tools, source.reference) : undefined;
    if (local !== undefined) return local;
    const place = await openPlace(tools, source);
    tools.defer(() => place.close());
    return offersAt(place, await offersIn(place, tools.platform));
  } catch (error) {
    tools.signal.throwIfAborted();
    tools.warn(`the build cache ${name} is not used: ${errorMessage(error)}`);
    return [];
  }
}

async function openPlace(tools: CacheTools, source: CacheImport): Promise<CachePlace> {
  if (source.kind === "local")
    return folderPlace({ fd: openFolder(source.folder), path: source.folder.path, name: source.name });
  const { reference } = source;
  const at = { credentials: await tools.credentialsFor(reference.domain), actions: "pull", signal: tools.signal };
  return registryPlace(await tools.images.repository(reference, at), reference);
}

function offersAt({ name, open }: Pick<CachePlace, "name" | "open">, offers: readonly CacheOffer[]): Offers {
  return offers.map(({ key, layer: { diffId, descriptor, createdMs } }) => {
    const layer = { diffId, descriptor, open: () => open(descriptor) };
    return [key, { layer, createdMs, from: name }];
  });
}

/** An image of the store that was built with its cache in it. */
function localOffers({ images }: CacheTools, reference: Reference): Offers | undefined {
  const name = canonicalName(reference);
  let config;
  try {
    config = images.resolve(name).config;
  } catch {
    return undefined;
  }
  const inline = inlineOf(config, undefined);
  if (inline === undefined) return undefined;
  const open: CachePlace["open"] = () => {
    throw new TscomposeError("image/not-found", `the image ${name} has lost a layer`);
  };
  return offersAt({ name, open }, inline);
}

/** @param descriptors of its layers, lowest first; undefined: they are in the store */
function inlineOf(
  config: ReturnType<typeof parseConfig>,
  descriptors: readonly Descriptor[] | undefined,
): readonly CacheOffer[] | undefined {
  const text = (config as unknown as Readonly<Record<string, unknown>>)[inlineKey];
  if (typeof text !== "string") return undefined;
  const created = (config.history ?? []).filter(({ empty_layer }) => empty_layer !== true);
  const layers = config.rootfs.diff_ids.map((diffId, index) => ({
    diffId,
    descriptor: descriptors?.[index] ?? { mediaType: "", digest: diffId, size: 0 },
    createdMs: parseTime(created[index]?.created),
    parent: index - 1,
  }));
  return parseInline(text, layers);
}

async function offersIn(place: CachePlace, platform: Platform): Promise<readonly CacheOffer[]> {
  let fetched: FetchedManifest = await place.manifest();
  const { content } = fetched;
  if (content.kind === "index") {
    const document = content.entries.find(({ mediaType }) => mediaType === cacheConfigType);
    if (document !== undefined) return parseCacheConfig(await place.document(document), described(fetched));
    const entry = choosePlatform(content.entries, platform);
    if (entry === undefined)
      throw new TscomposeError("image/not-found", `there is nothing for ${formatPlatform(platform)} in it`);
    fetched = await place.manifestOf(entry);
  }
  if (fetched.content.kind === "index") throw new TscomposeError("image/invalid", "an index within an index");
  return await offersOfManifest(place, fetched, fetched.content);
}

async function offersOfManifest(
  place: CachePlace,
  fetched: FetchedManifest,
  manifest: Manifest,
): Promise<readonly CacheOffer[]> {
  const content = await place.document(manifest.config);
  if (manifest.config.mediaType === cacheConfigType) return parseCacheConfig(content, described(fetched));
  if (!isObject(parseObject(content, "configuration")["rootfs"]))
    throw new TscomposeError("image/invalid", "it is neither a build cache nor an image");
  const config = parseConfig(content, "configuration");
  if (config.rootfs.diff_ids.length !== manifest.layers.length)
    throw new TscomposeError("image/invalid", "its configuration and its manifest name different layers");
  const inline = inlineOf(config, manifest.layers);
  if (inline === undefined) throw new TscomposeError("image/invalid", "the image was built without its cache in it");
  return inline;
}

/** What the manifest says of its blobs. */
function described({ content, bytes }: FetchedManifest): ReadonlyMap<string, AnnotatedDescriptor> {
  const document = parseObject(bytes, "manifest");
  const listed = document[content.kind === "index" ? "manifests" : "layers"];
  const blobs = (Array.isArray(listed) ? (listed as readonly unknown[]) : []).map((entry) => {
    const annotations = isObject(entry) && isObject(entry["annotations"]) ? entry["annotations"] : {};
    return { ...parseDescriptor(entry, "manifest"), annotations };
  });
  return new Map(blobs.map((blob) => [blob.digest, blob]));
}
