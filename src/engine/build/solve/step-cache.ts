/** Results of steps by their content keys: `<data root>/build/cache/<key>.json`; the time of the file is that of the last use. A key
 *  holds everything that a result depends on, so what is found is right; a record whose layers are gone counts for nothing. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../../../errors.ts";
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

export interface CacheRecord extends CachedResult {
  readonly version: 1;
  readonly title: string;
}

/** A record as people see it. */
export interface CacheEntry extends CacheRecord {
  readonly key: string;
  readonly usedMs: number;
  readonly uses: number;
  /** A build that runs has taken or made it. */
  readonly inUse: boolean;
}

interface Held {
  readonly record: CacheRecord;
  usedMs: number;
  uses: number;
}

/** The steps that one build holds on to while it runs. */
export type CacheUser = Set<string>;

function isRecord(value: unknown): value is CacheRecord {
  if (typeof value !== "object" || value === null) return false;
  const { version, chainId, diffId, sizeBytes, title, createdMs } = value as Record<string, unknown>;
  const texts = [chainId, diffId, title].every((text) => typeof text === "string");
  return version === 1 && texts && [sizeBytes, createdMs].every((number) => typeof number === "number");
}

const keyName = /^[a-f0-9]{64}\.json$/;

export class StepCache {
  readonly #dir: string;
  readonly #images: ImageStore;
  readonly #held = new Map<string, Held>();
  readonly #users = new Set<CacheUser>();

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
        this.#held.set(name.slice(0, 64), { record: value, usedMs: statSync(path).mtimeMs, uses: 1 });
        return;
      }
    } catch {
      // A record that cannot be read is worth nothing, and costs one step.
    }
    rmSync(path, { force: true });
  }

  #path(key: string): string {
    return join(this.#dir, `${key}.json`);
  }

  /** What a build finds and adds is not removed before `leave`. */
  enter(): CacheUser {
    const user: CacheUser = new Set();
    this.#users.add(user);
    return user;
  }

  leave(user: CacheUser): void {
    this.#users.delete(user);
  }

  find(key: string, user: CacheUser): CachedResult | undefined {
    const held = this.#held.get(key);
    if (held === undefined) return undefined;
    try {
      this.#images.layerDirs(held.record.chainId);
    } catch {
      this.#drop(key);
      return undefined;
    }
    user.add(key);
    held.usedMs = Date.now();
    held.uses += 1;
    this.#touch(key, held.usedMs);
    return held.record;
  }

  /** Whether a record is about this chain. */
  knows(chainId: string): boolean {
    return [...this.#held.values()].some(({ record }) => record.chainId === chainId);
  }

  /** A record that somebody removed from outside is written with the next result. */
  #touch(key: string, ms: number): void {
    try {
      utimesSync(this.#path(key), ms / 1000, ms / 1000);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
    }
  }

  add(key: string, result: CachedResult, at: { readonly title: string; readonly user: CacheUser }): void {
    const record: CacheRecord = { version: 1, ...pick(result), title: at.title };
    this.#held.set(key, { record, usedMs: Date.now(), uses: 1 });
    at.user.add(key);
    // Not synced: without it a step runs again, and what cannot be read is thrown away.
    const path = this.#path(key);
    writeFileSync(`${path}.tmp`, JSON.stringify(record), { mode: 0o600 });
    renameSync(`${path}.tmp`, path);
  }

  #drop(key: string): void {
    this.#held.delete(key);
    rmSync(this.#path(key), { force: true });
  }

  /** Longest unused first. */
  entries(): readonly CacheEntry[] {
    const used = new Set([...this.#users].flatMap((user) => [...user]));
    return [...this.#held]
      .map(([key, { record, usedMs, uses }]) => ({ ...record, key, usedMs, uses, inUse: used.has(key) }))
      .toSorted((a, b) => a.usedMs - b.usedMs);
  }

  /** Lets go of what was made and has no record: another result took its place, or its build was cut short. Not while builds run, which
   *  may work with it. */
  releaseStrays(): void {
    if (this.#users.size > 0) return;
    const known = new Set([...this.#held.values()].map(({ record }) => record.chainId));
    const strays = [...this.#images.keptChains()].filter((chainId) => !known.has(chainId));
    for (const chainId of strays) this.#images.releaseChain(chainId);
    if (strays.length > 0) this.#images.collectLayers();
  }

  /** Forgets these, unless a build uses them. Layers go with the last image and record that needs them.
   *  @returns what was forgotten, and the bytes that no other record or image (`shared`: their layers) needs */
  remove(
    keys: ReadonlySet<string>,
    shared: ReadonlySet<string>,
  ): { readonly deleted: readonly string[]; readonly spaceReclaimed: number } {
    const removed = this.entries().filter(({ key, inUse }) => keys.has(key) && !inUse);
    for (const { key } of removed) this.#drop(key);
    const chains = new Set([...this.#held.values()].map(({ record }) => record.chainId));
    const layers = new Set([...this.#held.values()].map(({ record }) => record.diffId));
    let spaceReclaimed = 0;
    for (const { chainId, diffId, sizeBytes } of removed) {
      if (!chains.has(chainId)) this.#images.releaseChain(chainId);
      if (layers.has(diffId) || shared.has(diffId)) continue;
      layers.add(diffId);
      spaceReclaimed += sizeBytes;
    }
    if (removed.length > 0) this.#images.collectLayers();
    return { deleted: removed.map(({ key }) => key), spaceReclaimed };
  }
}

function pick({ chainId, diffId, sizeBytes, createdMs }: CachedResult): CachedResult {
  return { chainId, diffId, sizeBytes, createdMs };
}
