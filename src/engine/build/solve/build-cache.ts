/** All that builds keep: results of steps, cache mounts, copies of folders. What there is, what goes when it is pruned, and the limit
 *  that is kept to by letting go of what was used longest ago. Source: Docker Engine API, BuildCache and /build/prune. */
import { statfsSync } from "node:fs";
import type { FolderMirrors } from "../context/folder-mirrors.ts";
import type { CacheMounts } from "./cache-mounts.ts";
import type { StepCache } from "./step-cache.ts";
import type { CachePruneOptions, CacheUsage } from "../types.ts";

export interface CacheParts {
  readonly steps: StepCache;
  readonly mounts: CacheMounts;
  readonly mirrors: FolderMirrors;
  /** Layers that images have. */
  readonly imageLayers: () => ReadonlySet<string>;
  /** For the free space of its file system. */
  readonly dataRoot: string;
}

/** A directory of a cache mount or a mirror. */
export interface KeptDirectory {
  readonly name: string;
  readonly sizeBytes: number;
  readonly createdMs: number;
  readonly usedMs: number;
  readonly inUse: boolean;
}

export class BuildCache {
  readonly #parts: CacheParts;

  constructor(parts: CacheParts) {
    this.#parts = parts;
  }

  /** Longest unused first. */
  async usage(): Promise<readonly CacheUsage[]> {
    const { steps, mounts, mirrors } = this.#parts;
    const layers = this.#parts.imageLayers();
    const regular = steps.entries().map((entry): CacheUsage => ({
      id: entry.key,
      type: "regular",
      description: entry.title,
      inUse: entry.inUse,
      shared: layers.has(entry.diffId),
      sizeBytes: entry.sizeBytes,
      createdMs: entry.createdMs,
      usedMs: entry.usedMs,
      uses: entry.uses,
    }));
    const kept = [
      ...(await mounts.list()).map((item) => usageOf(item, "exec.cachemount", "cache mount")),
      ...(await mirrors.list()).map((item) => usageOf(item, "source.local", "files of a build context")),
    ];
    return [...regular, ...kept].toSorted((a, b) => a.usedMs - b.usedMs);
  }

  async prune(
    options: CachePruneOptions,
  ): Promise<{ readonly deleted: readonly string[]; readonly spaceReclaimed: number }> {
    const usage = await this.usage();
    const matching = usage.filter((item) => !item.inUse && (options.all || !item.shared) && options.matches(item));
    const wanted = surplus(usage, matching, { ...options, freeBytes: freeBytes(this.#parts.dataRoot) });
    return await this.#remove(new Set(wanted.map(({ id }) => id)));
  }

  async #remove(
    ids: ReadonlySet<string>,
  ): Promise<{ readonly deleted: readonly string[]; readonly spaceReclaimed: number }> {
    const { steps, mounts, mirrors } = this.#parts;
    const removed = steps.remove(ids, this.#parts.imageLayers());
    const others = [await mounts.remove(ids), await mirrors.remove(ids)];
    return {
      deleted: [...removed.deleted, ...others.flatMap(({ deleted }) => deleted)],
      spaceReclaimed: others.reduce((sum, { bytes }) => sum + bytes, removed.spaceReclaimed),
    };
  }
}

function usageOf(item: KeptDirectory, type: CacheUsage["type"], description: string): CacheUsage {
  const { name: id, sizeBytes, createdMs, usedMs, inUse } = item;
  return { id, type, description, inUse, shared: false, sizeBytes, createdMs, usedMs, uses: 1 };
}

function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}

/** Of `matching` (longest unused first) as many as the limits ask for: all without limits. Pure. */
export function surplus(
  usage: readonly CacheUsage[],
  matching: readonly CacheUsage[],
  limits: Pick<CachePruneOptions, "reservedBytes" | "maxUsedBytes" | "minFreeBytes"> & { readonly freeBytes: number },
): readonly CacheUsage[] {
  const { reservedBytes = 0, maxUsedBytes, minFreeBytes, freeBytes: free } = limits;
  const isLimited = reservedBytes > 0 || maxUsedBytes !== undefined || minFreeBytes !== undefined;
  if (!isLimited) return matching;
  // What images have too takes no space of its own.
  const costs = (item: CacheUsage): number => (item.shared ? 0 : item.sizeBytes);
  let total = usage.reduce((sum, item) => sum + costs(item), 0);
  const overUse = maxUsedBytes === undefined ? 0 : total - maxUsedBytes;
  const tooFull = minFreeBytes === undefined ? 0 : minFreeBytes - free;
  const onlyReserved = maxUsedBytes === undefined && minFreeBytes === undefined;
  let excess = onlyReserved ? total - reservedBytes : Math.max(overUse, tooFull);
  const chosen: CacheUsage[] = [];
  for (const item of matching) {
    if (excess <= 0 || total <= reservedBytes) break;
    if (costs(item) === 0) continue;
    chosen.push(item);
    excess -= costs(item);
    total -= costs(item);
  }
  return chosen;
}

/** Bytes that the cache may take: TSCOMPOSE_BUILD_CACHE_LIMIT, else a fifth of the disk, at most 20 GB. */
export function cacheLimit(dataRoot: string, given: string | undefined): number {
  const asked = Number(given);
  if (given !== undefined && given !== "" && Number.isFinite(asked) && asked >= 0) return asked;
  const { blocks, bsize } = statfsSync(dataRoot);
  return Math.min(20e9, (blocks * bsize) / 5);
}
