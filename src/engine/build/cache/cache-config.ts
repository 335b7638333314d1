/** The document of an exported build cache: BuildKit's `cacheconfig.v0`, and the list of records in an image's configuration. Pure.
 *
 *  The form is BuildKit's, the keys are not: BuildKit's are digests of its own LLB and of checksums in it, ours those of
 *  `content-key.ts`. So each of the two loads what the other wrote and finds nothing in it.
 *  Source: BuildKit cache/remotecache/v1/doc.go and types.go, inline/inline.go. */
import { TscomposeError } from "../../../errors.ts";
import { assertDigest } from "../../images/digest.ts";
import { isObject, parseJson, parseObject } from "../../images/json.ts";
import type { Descriptor } from "../../images/manifest.ts";

export const cacheConfigType = "application/vnd.buildkit.cacheconfig.v0";
/** In the configuration of an image: base64 of the records. */
export const inlineKey = "moby.buildkit.cache.v0";

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

export interface CacheConfig {
  readonly layers: readonly CacheLayer[];
  readonly records: readonly CacheRecord[];
}

const maxRecords = 100_000;

function recordsDocument(records: readonly CacheRecord[]): readonly object[] {
  return records.map(({ key, layer }) => ({ layers: [{ layer }], digest: `sha256:${key}` }));
}

export function renderCacheConfig({ layers, records }: CacheConfig): Buffer {
  return Buffer.from(
    JSON.stringify({
      layers: layers.map(({ descriptor, diffId, createdMs, parent }) => ({
        blob: descriptor.digest,
        parent,
        annotations: {
          mediaType: descriptor.mediaType,
          diffID: diffId,
          size: descriptor.size,
          createdAt: new Date(createdMs).toISOString(),
        },
      })),
      records: recordsDocument(records),
    }),
  );
}

/** @param records whose layers are those of the image, lowest first */
export function renderInline(records: readonly CacheRecord[]): string {
  return Buffer.from(JSON.stringify(recordsDocument(records))).toString("base64");
}

function invalid(what: string): TscomposeError {
  return new TscomposeError("image/invalid", `build cache: ${what}`);
}

function indexIn(value: unknown, count: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value < count) return value;
  throw invalid("a record names a layer that is not there");
}

/** Records without a result say nothing to us. */
function parseRecords(value: unknown, layerCount: number): readonly CacheRecord[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.length > maxRecords) throw invalid("it has no proper list of records");
  return value.flatMap((record: unknown): readonly CacheRecord[] => {
    if (!isObject(record)) throw invalid("a record is not an object");
    const results: unknown = record["layers"] ?? [];
    if (!Array.isArray(results)) throw invalid("a record has no list of results");
    const [first] = results as readonly unknown[];
    if (first === undefined) return [];
    const digest = assertDigest(record["digest"], "build cache");
    if (!isObject(first)) throw invalid("a result is not an object");
    return [{ key: digest.replace(/^sha(?:256|512):/, ""), layer: indexIn(first["layer"], layerCount) }];
  });
}

/** Milliseconds since the epoch; what is no time of our age is none. */
export function parseTime(value: unknown): number {
  const ms = typeof value === "string" ? Date.parse(value) : Number.NaN;
  return Number.isFinite(ms) && ms >= 0 && ms < 253_402_300_800_000 ? ms : 0;
}

/** @param described descriptors of the blobs by their digests, as the manifest has them
 *  @throws image/invalid */
export function parseCacheConfig(content: Buffer, described: ReadonlyMap<string, Descriptor>): CacheConfig {
  const document = parseObject(content, "build cache");
  const listed: unknown = document["layers"] ?? [];
  if (!Array.isArray(listed) || listed.length > maxRecords) throw invalid("it has no proper list of layers");
  const layers = listed.map((layer: unknown): CacheLayer => {
    if (!isObject(layer)) throw invalid("a layer is not an object");
    const digest = assertDigest(layer["blob"], "build cache");
    const descriptor = described.get(digest);
    if (descriptor === undefined) throw invalid(`its manifest does not have the layer ${digest}`);
    const annotations = isObject(layer["annotations"]) ? layer["annotations"] : {};
    const diffId = assertDigest(annotations["diffID"], "build cache");
    const parent = typeof layer["parent"] === "number" ? layer["parent"] : -1;
    return { descriptor, diffId, createdMs: parseTime(annotations["createdAt"]), parent };
  });
  return { layers, records: parseRecords(document["records"], layers.length) };
}

/** @param layers of the image, lowest first
 *  @throws image/invalid */
export function parseInline(text: string, layers: readonly CacheLayer[]): CacheConfig {
  const records = parseRecords(parseJson(Buffer.from(text, "base64"), "build cache"), layers.length);
  return { layers, records };
}
