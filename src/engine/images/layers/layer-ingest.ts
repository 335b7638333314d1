/** Brings layers into the store, each once however many want it at the same time, and makes them durable in the background. */
import { closeSync, openSync } from "node:fs";
import { syncfs } from "../../../host/libc.ts";
import type { StagingArea } from "../staging.ts";
import type { LayerResult } from "./layer-job.ts";
import type { LayerRecord, LayerStore } from "./layer-store.ts";

const syncAfterMs = 2000;

export class LayerIngest {
  readonly #layers: LayerStore;
  readonly #staging: StagingArea;
  readonly #syncDir: string;
  readonly #running = new Map<string, Promise<LayerRecord>>();
  #sync: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: { readonly layers: LayerStore; readonly staging: StagingArea; readonly syncDir: string }) {
    this.#layers = options.layers;
    this.#staging = options.staging;
    this.#syncDir = options.syncDir;
  }

  /** The layer, unpacked by `unpack` into the directory it is given unless it is there or on its way. */
  async ensure(diffId: string, unpack: (directory: string) => Promise<LayerResult>): Promise<LayerRecord> {
    const known = this.#layers.get(diffId) ?? this.#running.get(diffId);
    if (known !== undefined) return known;
    const running = this.#unpack(unpack);
    this.#running.set(diffId, running);
    try {
      return await running;
    } finally {
      this.#running.delete(diffId);
    }
  }

  /** Resolves when what was brought in is on the disk. */
  async settled(): Promise<void> {
    if (this.#timer !== undefined) this.#syncNow();
    while (this.#sync !== undefined) await this.#sync;
  }

  /** Syncs the file system a little later, once for all that was added meanwhile: beside a pull it would take its disk and its
   *  processor away. */
  syncSoon(): void {
    this.#timer ??= setTimeout(() => this.#syncNow(), syncAfterMs).unref();
    this.#timer.refresh();
  }

  #syncNow(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // A failure leaves the records as they are, and the next call tries again.
    this.#sync ??= this.#syncAll()
      .catch(() => undefined)
      .finally(() => (this.#sync = undefined));
  }

  async #unpack(unpack: (directory: string) => Promise<LayerResult>): Promise<LayerRecord> {
    const directory = this.#staging.directory();
    try {
      const result = await unpack(directory);
      const { digest, size, compression } = result;
      const record = this.#layers.add(directory, { ...result, blob: { digest, size, compression } });
      this.syncSoon();
      return record;
    } catch (error) {
      this.#staging.discard(directory);
      throw error;
    }
  }

  /** Twice: the layers first, then the records that say so. */
  async #syncAll(): Promise<void> {
    for (;;) {
      const unsynced = this.#layers.all().filter(({ unsyncedBoot }) => unsyncedBoot !== undefined);
      if (unsynced.length === 0) return;
      const fd = openSync(this.#syncDir, "r");
      try {
        await syncfs(fd);
        this.#layers.markSynced(unsynced);
        await syncfs(fd);
      } finally {
        closeSync(fd);
      }
    }
  }
}
