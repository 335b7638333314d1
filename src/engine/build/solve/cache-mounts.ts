/** Directories of `RUN --mount=type=cache`: kept between builds below `<data root>/build/mounts`. */
import { createHash } from "node:crypto";
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { directorySize } from "../../volumes/directory-size.ts";
import { removeDirectories } from "../files/remove-directories.ts";
import type { StepMount } from "../plan/steps.ts";
import type { KeptDirectory } from "./build-cache.ts";

type Cache = NonNullable<StepMount["cache"]>;

export interface LeasedCache {
  readonly directory: string;
  /** True the first time: fill it from the mount's source. */
  readonly fresh: boolean;
  release(): void;
}

export class CacheMounts {
  readonly #dir: string;
  /** Directories in use by a step that shares them with nobody. */
  readonly #exclusive = new Set<string>();
  readonly #users = new Map<string, number>();
  readonly #used = new Map<string, number>();
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor(dir: string) {
    this.#dir = dir;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  }

  /** `locked` waits until nobody else uses it; `private` takes another directory then. */
  async lease(cache: Cache, defaults: { readonly mode: number }): Promise<LeasedCache> {
    const base = createHash("sha256").update(cache.id).digest("hex");
    const name = cache.sharing === "private" ? this.#freeName(base) : base;
    if (cache.sharing !== "shared") {
      while (this.#exclusive.has(name) || (this.#users.get(name) ?? 0) > 0) await this.#wait(name);
      this.#exclusive.add(name);
    } else {
      while (this.#exclusive.has(name)) await this.#wait(name);
    }
    this.#users.set(name, (this.#users.get(name) ?? 0) + 1);
    this.#used.set(name, Date.now());
    const directory = join(this.#dir, name);
    const fresh = !existsSync(directory);
    if (fresh) {
      mkdirSync(directory, { mode: 0o700 });
      chownSync(directory, cache.uid ?? 0, cache.gid ?? 0);
      chmodSync(directory, cache.mode ?? defaults.mode);
    }
    return { directory, fresh, release: () => this.#release(name) };
  }

  #freeName(base: string): string {
    for (let number = 0; ; number += 1) {
      const name = number === 0 ? base : `${base}.${number}`;
      if (!this.#exclusive.has(name) && (this.#users.get(name) ?? 0) === 0) return name;
    }
  }

  #wait(name: string): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.set(name, [...(this.#waiting.get(name) ?? []), resolve]);
    });
  }

  #release(name: string): void {
    this.#exclusive.delete(name);
    this.#users.set(name, Math.max((this.#users.get(name) ?? 1) - 1, 0));
    const waiting = this.#waiting.get(name) ?? [];
    this.#waiting.delete(name);
    for (const wake of waiting) wake();
  }

  async list(): Promise<readonly KeptDirectory[]> {
    const found: KeptDirectory[] = [];
    for (const name of readdirSync(this.#dir)) {
      const path = join(this.#dir, name);
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat === undefined) continue;
      const inUse = (this.#users.get(name) ?? 0) > 0;
      const usedMs = this.#used.get(name) ?? stat.mtimeMs;
      found.push({ name, sizeBytes: await directorySize(path), createdMs: stat.birthtimeMs, usedMs, inUse });
    }
    return found;
  }

  /** Removes those that no step uses. */
  async remove(names: ReadonlySet<string>): Promise<{ readonly deleted: readonly string[]; readonly bytes: number }> {
    return await removeDirectories(this.#dir, names, (name) => (this.#users.get(name) ?? 0) > 0);
  }
}
