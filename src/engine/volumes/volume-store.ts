/** Records of volumes on disk: `<dir>/<name>/volume.json` beside `<dir>/<name>/_data`. The data is what counts: a record that
 *  cannot be read is set aside and made anew, its volume stays. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { rm } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { errorMessage } from "../../errors.ts";
import { syncDirectory, writeAtomic } from "../../host/atomic-file.ts";
import type { DriverOptions } from "./local-driver.ts";
import { anonymousLabel } from "./volume-name.ts";

export interface VolumeRecord {
  readonly version: 1;
  readonly name: string;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly options: DriverOptions | null;
}

const recordFile = "volume.json";
const dataDirectory = "_data";
/** Renamed to this before its content is deleted, so that no half-deleted volume is ever seen under its name. */
const removedPrefix = ".removed-";

export class VolumeStore {
  readonly #dir: string;
  readonly #records = new Map<string, VolumeRecord>();

  /** Reads every record. `warn` hears of those that were set aside. */
  constructor(dir: string, warn: (message: string) => void) {
    this.#dir = dir;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(dir)) {
      if (name.startsWith(removedPrefix)) void rm(join(dir, name), { recursive: true, force: true });
      else if (existsSync(join(dir, name, dataDirectory))) this.#records.set(name, this.#load(name, warn));
    }
  }

  get(name: string): VolumeRecord | undefined {
    return this.#records.get(name);
  }

  /** By name. */
  all(): readonly VolumeRecord[] {
    return [...this.#records.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Where the content of a volume is. */
  dataPath(name: string): string {
    return join(this.#dir, name, dataDirectory);
  }

  /** Beside the content, on the same file system: to prepare content that then takes its place by a rename. */
  stagingPath(name: string): string {
    return join(this.#dir, name, `_staging-${randomBytes(4).toString("hex")}`);
  }

  add(record: VolumeRecord): void {
    mkdirSync(join(this.#dir, record.name), { recursive: true, mode: 0o701 });
    mkdirSync(this.dataPath(record.name), { recursive: true, mode: 0o755 });
    this.#write(record);
    syncDirectory(this.#dir);
    this.#records.set(record.name, record);
  }

  /** Forgets the volume at once; resolves when its content is deleted. */
  async delete(name: string): Promise<void> {
    const doomed = join(this.#dir, `${removedPrefix}${randomBytes(8).toString("hex")}`);
    renameSync(join(this.#dir, name), doomed);
    this.#records.delete(name);
    syncDirectory(this.#dir);
    await rm(doomed, { recursive: true, force: true });
  }

  #write(record: VolumeRecord): void {
    writeAtomic(join(this.#dir, record.name, recordFile), `${JSON.stringify(record)}\n`);
  }

  #load(name: string, warn: (message: string) => void): VolumeRecord {
    const path = join(this.#dir, name, recordFile);
    try {
      return checkRecord(name, JSON.parse(readFileSync(path, "utf8")));
    } catch (error) {
      const aside = `${path}.corrupt`;
      if (existsSync(path)) renameSync(path, aside);
      warn(
        `volume ${name}: its record could not be read (${errorMessage(error)}) and was set aside as ${aside}; its data is kept`,
      );
      const labels = /^[0-9a-f]{64}$/.test(name) ? { [anonymousLabel]: "" } : null;
      const record: VolumeRecord = { version: 1, name, createdAt: new Date().toISOString(), labels, options: null };
      this.#write(record);
      return record;
    }
  }
}

function checkRecord(name: string, value: unknown): VolumeRecord {
  const record = value as Partial<VolumeRecord> | null;
  if (record === null || typeof record !== "object" || record.version !== 1 || record.name !== name) {
    throw new Error("not a volume record of version 1");
  }
  if (typeof record.createdAt !== "string" || !isTextMap(record.labels) || !isTextMap(record.options)) {
    throw new Error("a field is missing or of the wrong type");
  }
  return record as VolumeRecord;
}

function isTextMap(value: unknown): boolean {
  if (value === null) return true;
  return (
    typeof value === "object" && !Array.isArray(value) && Object.values(value).every((text) => typeof text === "string")
  );
}
