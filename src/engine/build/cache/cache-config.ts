/** The document of an exported build cache: BuildKit's `cacheconfig.v0`, and the list of records in an image's configuration. Pure.
 *
 *  The form is BuildKit's, the keys are not: BuildKit's are digests of its own LLB and of checksums in it, ours those of
 *  `content-key.ts`. So each of the two loads what the other wrote and finds nothing in it.
 *  Source: BuildKit cache/remotecache/v1/doc.go and types.go, inline/inline.go. */
import { TscomposeError } from "../../../errors.ts";
import { assertDigest, hexOf } from "../../images/digest.ts";
import { isObject, parseJson, parseObject } from "../../images/json.ts";
import type { Descriptor } from "../../images/manifest.ts";

export const cacheConfigType = "application/vnd.buildkit.cacheconfig.v0";
/** In the configuration of an image: base64 of the records. */
export const inlineKey = "moby.buildkit.cache.v0";

/** Of a descriptor in the manifest: digest of the unpacked tar, time of the step. */
export const uncompressedKey = "containerd.io/uncompressed";
export const createdKey = "buildkit/createdat";

export interface CacheLayer {
  readonly descriptor: Descriptor;
  readonly diffId: string;
  readonly createdMs: number;
  /** Index of the layer below, of those in the document; -1: none. */
  readonly parent: number;
}

export interface CacheRecord {
  /** Hex. */
  readonly key: string;
  /** Index. */
  readonly layer: number;
}

/** A result of a step, by one of its keys. */
export interface CacheOffer {
  readonly key: string;
  readonly layer: CacheLayer;
}

export interface AnnotatedDescriptor extends Descriptor {
  readonly annotations: Readonly<Record<string, unknown>>;
}

const maxRecords = 100_000;

export function renderCacheConfig(layers: readonly CacheLayer[], records: readonly CacheRecord[]): Buffer {
  const document = {
    layers: layers.map(({ descriptor, parent }) => ({
      blob: descriptor.digest,
      ...(parent === 0 ? {} : { parent }),
    })),
    records: records.map(({ key, layer }) => ({
      layers: [{ layer, createdAt: new Date(layers[layer]?.createdMs ?? 0).toISOString() }],
      digest: `sha256:${key}`,
    })),
  };
  return Buffer.from(JSON.stringify(document));
}

/** @param records whose layers are those of the image, lowest first */
export function renderInline(records: readonly CacheRecord[]): string {
  const list = records.map(({ key, layer }) => ({ layers: [{ layer }], digest: `sha256:${key}` }));
  return Buffer.from(JSON.stringify(list)).toString("base64");
}

function invalid(what: string): TscomposeError {
  return new TscomposeError("image/invalid", `build cache: ${what}`);
}

/** Records without a result say nothing to us, nor do layers whose diff id is not told. */
function parseRecords(value: unknown, layers: readonly (CacheLayer | undefined)[]): readonly CacheOffer[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.length > maxRecords) throw invalid("it has no proper list of records");
  return value.flatMap((record: unknown): readonly CacheOffer[] => {
    if (!isObject(record)) throw invalid("a record is not an object");
    const results: unknown = record["layers"] ?? [];
    if (!Array.isArray(results)) throw invalid("a record has no list of results");
    const [first] = results as readonly unknown[];
    if (first === undefined) return [];
    const digest = assertDigest(record["digest"], "build cache");
    if (!isObject(first)) throw invalid("a result is not an object");
    const index = first["layer"];
    if (typeof index !== "number" || !Number.isInteger(index) || index < 0 || index >= layers.length)
      throw invalid("a record names a layer that is not there");
    const layer = layers[index];
    if (layer === undefined) return [];
    const createdMs = first["createdAt"] === undefined ? layer.createdMs : parseTime(first["createdAt"]);
    return [{ key: hexOf(digest), layer: { ...layer, createdMs } }];
  });
}

/** Milliseconds since the epoch; what is no time of our age is none. */
export function parseTime(value: unknown): number {
  const ms = typeof value === "string" ? Date.parse(value) : Number.NaN;
  return Number.isFinite(ms) && ms >= 0 && ms < 253_402_300_800_000 ? ms : 0;
}

/** @param described blobs by their digests, as the manifest has them
 *  @throws image/invalid */
export function parseCacheConfig(
  content: Buffer,
  described: ReadonlyMap<string, AnnotatedDescriptor>,
): readonly CacheOffer[] {
  const document = parseObject(content, "build cache");
  const listed: unknown = document["layers"] ?? [];
  if (!Array.isArray(listed) || listed.length > maxRecords) throw invalid("it has no proper list of layers");
  const layers = listed.map((layer: unknown): CacheLayer | undefined => {
    if (!isObject(layer)) throw invalid("a layer is not an object");
    const digest = assertDigest(layer["blob"], "build cache");
    const found = described.get(digest);
    if (found === undefined) throw invalid(`its manifest does not have the layer ${digest}`);
    const { annotations, ...descriptor } = found;
    if (annotations[uncompressedKey] === undefined) return undefined;
    const diffId = assertDigest(annotations[uncompressedKey], "build cache");
    const parent = typeof layer["parent"] === "number" ? layer["parent"] : 0;
    return { descriptor, diffId, createdMs: parseTime(annotations[createdKey]), parent };
  });
  return parseRecords(document["records"], layers);
}

/** @param layers of the image, lowest first
 *  @throws image/invalid */
export function parseInline(text: string, layers: readonly CacheLayer[]): readonly CacheOffer[] {
  return parseRecords(parseJson(Buffer.from(text, "base64"), "build cache"), layers);
}
