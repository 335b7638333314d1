/** Results of steps by their content keys: `<data root>/build/cache/<key>.json`. A key holds everything that a result depends on,
 *  so what is found is right; a record whose layers are gone counts for nothing. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ImageStore } from "../../images/types.ts";

export interface CachedResult {
  /** Of the file tree after the step. */
  readonly chainId: string;
  /** Of the layer that the step made. */
  readonly diffId: string;
  readonly sizeBytes: number;
  /** When the step ran, in milliseconds since the epoch. */
  readonly createdMs: number;
}

interface CacheRecord extends CachedResult {
  readonly version: 1;
  readonly title: string;
  usedMs: number;
}

function isRecord(value: unknown): value is CacheRecord {
  if (typeof value !== "object" || value === null) return false;
  const { version, chainId, diffId, sizeBytes, title, createdMs, usedMs } = value as Record<string, unknown>;
  const texts = [chainId, diffId, title].every((text) => typeof text === "string");
  return version === 1 && texts && [sizeBytes, createdMs, usedMs].every((number) => typeof number === "number");
}

const keyName = /^[a-f0-9]{64}\.json$/;

export class StepCache {
  readonly #dir: string;
  readonly #images: ImageStore;
  readonly #records = new Map<string, CacheRecord>();

  constructor(dir: string, images: ImageStore) {
    this.#dir = dir;
    this.#images = images;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(dir)) this.#load(name);
  }

  #load(name: string): void {
    const path = join(this.#dir, name);
    try {
      const value: unknown = keyName.test(name) ? JSON.parse(readFileSync(path, "utf8")) : undefined;
      if (isRecord(value)) {
        this.#records.set(name.slice(0, 64), value);
        return;
      }
    } catch {
      // A record that cannot be read is worth nothing, and costs one step.
    }
    rmSync(path, { force: true });
  }

  find(key: string): CachedResult | undefined {
    const record = this.#records.get(key);
    if (record === undefined) return undefined;
    try {
      this.#images.layerDirs(record.chainId);
    } catch {
      this.#drop(key);
      return undefined;
    }
    record.usedMs = Date.now();
    return record;
  }

  add(key: string, result: CachedResult, title: string): void {
    const record: CacheRecord = { version: 1, ...pick(result), title, usedMs: Date.now() };
    this.#records.set(key, record);
    // Not synced: without it a step runs again, and what cannot be read is thrown away.
    const path = join(this.#dir, `${key}.json`);
    writeFileSync(`${path}.tmp`, JSON.stringify(record), { mode: 0o600 });
    renameSync(`${path}.tmp`, path);
  }

  #drop(key: string): void {
    this.#records.delete(key);
    rmSync(join(this.#dir, `${key}.json`), { force: true });
  }

  /** Forgets results not used since `unusedSinceMs`, or all. Layers go with the last image and record that needs them. */
  prune(unusedSinceMs: number | undefined): { readonly deleted: readonly string[]; readonly spaceReclaimed: number } {
    const deleted: string[] = [];
    const chains = new Map<string, number>();
    for (const [key, record] of this.#records) {
      if (unusedSinceMs !== undefined && record.usedMs >= unusedSinceMs) continue;
      deleted.push(key);
      chains.set(record.chainId, record.sizeBytes);
      this.#drop(key);
    }
    const kept = new Set([...this.#records.values()].map(({ chainId }) => chainId));
    let spaceReclaimed = 0;
    for (const [chainId, sizeBytes] of chains) {
      if (kept.has(chainId)) continue;
      this.#images.releaseChain(chainId);
      spaceReclaimed += sizeBytes;
    }
    return { deleted, spaceReclaimed };
  }

  get sizeBytes(): number {
    const layers = new Map([...this.#records.values()].map(({ diffId, sizeBytes }) => [diffId, sizeBytes]));
    return [...layers.values()].reduce((sum, size) => sum + size, 0);
  }
}

function pick({ chainId, diffId, sizeBytes, createdMs }: CachedResult): CachedResult {
  return { chainId, diffId, sizeBytes, createdMs };
}
