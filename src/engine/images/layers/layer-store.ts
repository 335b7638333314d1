/** Unpacked layers by diff id: `<data root>/l/<8 characters>`, ready to be lower directories of overlayfs. The names are that
 *  short because all of an image's must fit into one mount option of 4096 bytes. A layer depends on nothing but its own tar, so images
 *  share it whatever lies below. It is synced in the background; until then its record names the boot it was written in, and
 *  after a power cut it is dropped rather than trusted. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { bootId } from "../../../host/process-identity.ts";
import { assertDigest } from "../digest.ts";
import { isObject, type JsonObject } from "../json.ts";
import type { Compression } from "../media-types.ts";
import { RecordFiles } from "../record-files.ts";
import { inheritDirectories } from "./inherit-directories.ts";
import type { StagingArea } from "../staging.ts";

export interface LayerBlob {
  readonly digest: string;
  readonly size: number;
  readonly compression: Compression;
}

export interface LayerRecord {
  readonly version: 1;
  readonly diffId: string;
  /** Name of the directory. */
  readonly name: string;
  /** Bytes of regular files. */
  readonly sizeBytes: number;
  /** Bytes of the tar it was unpacked from or would be packed into. */
  readonly tarBytes: number;
  /** Directories without an entry of their own in the tar (latin1). */
  readonly impliedDirs: readonly string[];
  /** The packed form it came in, while that is stored; undefined: made here, packing the directory gives the tar again. */
  readonly blob: LayerBlob | undefined;
  /** Boot it was written in, until it is known to be on the disk. */
  readonly unsyncedBoot: string | undefined;
}

export interface LayerStoreOptions {
  /** Absolute; holds the layers themselves. */
  readonly dir: string;
  readonly recordDir: string;
  readonly corruptDir: string;
  readonly staging: StagingArea;
  readonly warn: (message: string) => void;
}

export class LayerStore {
  readonly #dir: string;
  readonly #staging: StagingArea;
  readonly #records: RecordFiles<LayerRecord>;
  readonly #byDiffId = new Map<string, LayerRecord>();
  readonly #names = new Set<string>();

  constructor(options: LayerStoreOptions) {
    this.#dir = options.dir;
    this.#staging = options.staging;
    this.#records = new RecordFiles(options.recordDir, options.corruptDir, options.warn);
    mkdirSync(this.#dir, { recursive: true, mode: 0o710 });
    for (const [, record] of this.#records.load((value) => this.#check(value))) this.#remember(record);
    for (const name of readdirSync(this.#dir)) {
      if (!this.#names.has(name)) this.#discard(name);
    }
  }

  get(diffId: string): LayerRecord | undefined {
    return this.#byDiffId.get(diffId);
  }

  /** The directory of a layer that is in the store. */
  path(record: LayerRecord): string {
    return join(this.#dir, record.name);
  }

  /** Takes over a directory on the same file system. A layer that is there already stays, and the directory is discarded. */
  add(
    directory: string,
    layer: Pick<LayerRecord, "diffId" | "sizeBytes" | "tarBytes" | "impliedDirs" | "blob">,
  ): LayerRecord {
    const known = this.#byDiffId.get(layer.diffId);
    if (known !== undefined) {
      this.#staging.discard(directory);
      return known;
    }
    const { diffId, sizeBytes, tarBytes, impliedDirs, blob } = layer;
    const record: LayerRecord = {
      version: 1,
      diffId,
      sizeBytes,
      tarBytes,
      impliedDirs,
      blob,
      name: this.#freeName(layer.diffId),
      unsyncedBoot: bootId(),
    };
    renameSync(directory, this.path(record));
    this.#records.writeSoon(record.name, record);
    this.#remember(record);
    return record;
  }

  /** Gives the directories that layers only pass through what the layers below say of them. Call when all layers of an image are in
   *  the store. @param diffIds lowest first */
  settleImpliedDirs(diffIds: readonly string[]): void {
    const records = diffIds.flatMap((diffId) => this.#byDiffId.get(diffId) ?? []);
    records.forEach((record, i) => {
      if (record.impliedDirs.length === 0 || i === 0) return;
      const below = records.slice(0, i).map((lower) => this.path(lower));
      inheritDirectories(this.path(record), below, record.impliedDirs);
      const settled = { ...record, impliedDirs: [] };
      this.#records.writeSoon(record.name, settled);
      this.#byDiffId.set(record.diffId, settled);
    });
  }

  /** Notes the packed form of a layer that had none, or one that is better for sending. */
  setBlob(diffId: string, blob: LayerBlob): void {
    const record = this.#byDiffId.get(diffId);
    if (record === undefined) return;
    const changed = { ...record, blob };
    this.#records.writeSoon(record.name, changed);
    this.#byDiffId.set(diffId, changed);
  }

  remove(diffId: string): void {
    const record = this.#byDiffId.get(diffId);
    if (record === undefined) return;
    this.#records.delete(record.name);
    this.#byDiffId.delete(diffId);
    this.#names.delete(record.name);
    this.#discard(record.name);
  }

  all(): readonly LayerRecord[] {
    return [...this.#byDiffId.values()];
  }

  /** Call after a sync of the file system; the records themselves are durable after the next. */
  markSynced(records: readonly LayerRecord[]): void {
    for (const { diffId } of records) {
      const record = this.#byDiffId.get(diffId);
      if (record?.unsyncedBoot === undefined) continue;
      const synced = { ...record, unsyncedBoot: undefined };
      this.#records.writeSoon(record.name, synced);
      this.#byDiffId.set(diffId, synced);
    }
  }

  #remember(record: LayerRecord): void {
    this.#byDiffId.set(record.diffId, record);
    this.#names.add(record.name);
  }

  #freeName(diffId: string): string {
    for (let salt = 0; ; salt++) {
      const name = createHash("sha256").update(`${diffId}${salt}`).digest("base64url").replace(/[-_]/g, "").slice(0, 8);
      if (!this.#names.has(name) && !existsSync(join(this.#dir, name))) return name;
    }
  }

  /** Out of the directory at once, deleted in the background. */
  #discard(name: string): void {
    const doomed = this.#staging.filePath();
    renameSync(join(this.#dir, name), doomed);
    this.#staging.discard(doomed);
  }

  #check(value: JsonObject): LayerRecord {
    const { name, sizeBytes, tarBytes, impliedDirs, unsyncedBoot } = value;
    const diffId = assertDigest(value["diffId"], "layer record");
    if (typeof name !== "string" || !/^[A-Za-z0-9]{1,16}$/.test(name)) throw new Error("it has no proper name");
    if (typeof sizeBytes !== "number" || typeof tarBytes !== "number" || !Array.isArray(impliedDirs)) {
      throw new Error("a field is missing");
    }
    if (!existsSync(join(this.#dir, name))) throw new Error("its directory is gone");
    if (unsyncedBoot !== undefined && unsyncedBoot !== bootId()) {
      throw new Error("the machine went down before the layer was on the disk");
    }
    const boot = typeof unsyncedBoot === "string" ? unsyncedBoot : undefined;
    const blob = checkBlob(value["blob"]);
    return {
      version: 1,
      diffId,
      name,
      sizeBytes,
      tarBytes,
      impliedDirs: impliedDirs.map(String),
      blob,
      unsyncedBoot: boot,
    };
  }
}

function checkBlob(value: unknown): LayerBlob | undefined {
  if (!isObject(value) || typeof value["size"] !== "number" || typeof value["compression"] !== "string")
    return undefined;
  const { size, compression } = value;
  return { digest: assertDigest(value["digest"], "layer record"), size, compression: compression as Compression };
}
