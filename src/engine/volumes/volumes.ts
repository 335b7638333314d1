/** The volumes of one engine. In: Docker-shaped requests, and containers that take and give back volumes. Out: Docker-shaped
 *  answers, mounted sources. Who uses a volume is known by the containers' records, through `usersOf`. */
import { readdirSync, renameSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { TscomposeError } from "../../errors.ts";
import type { VolumeService } from "../engine.ts";
import { matchesLabel, type PublishEvent } from "../events.ts";
import type { Filters, VolumeCreateBody, VolumeInspect } from "../types.ts";
import { copyUp, makeLike, type ImageRoot } from "./copy-up.ts";
import { directorySize } from "./directory-size.ts";
import { checkDriverOptions, mountVolume, planVolumeMount, unmountVolume } from "./local-driver.ts";
import { anonymousLabel, checkVolumeName, randomVolumeName } from "./volume-name.ts";
import { VolumeStore, type VolumeRecord } from "./volume-store.ts";

export interface VolumesOptions {
  /** Directory of the volumes; made with mode 0700. */
  readonly dataDir: string;
  /** Ids of the containers, running or not, whose mounts name the volume. */
  readonly usersOf: (name: string) => readonly string[];
  readonly publish: PublishEvent;
  readonly log: (level: "info" | "warn" | "error", message: string) => void;
}

/** A container's hold on a volume while it runs. */
export interface VolumeUse {
  readonly containerId: string;
  readonly destination: string;
  readonly readWrite: boolean;
  readonly propagation: string;
}

export class Volumes implements VolumeService {
  readonly #options: VolumesOptions;
  readonly #store: VolumeStore;
  /** Volume -> containers that hold it mounted now. */
  readonly #holders = new Map<string, Set<string>>();
  /** Work on a volume that must not overlap: mounting, copy-up. */
  readonly #busy = new Map<string, Promise<unknown>>();

  constructor(options: VolumesOptions) {
    this.#options = options;
    this.#store = new VolumeStore(options.dataDir, (message) => options.log("warn", message));
  }

  create(body: VolumeCreateBody): Promise<VolumeInspect> {
    return Promise.resolve(this.ensure(body).volume);
  }

  /** As `create`, at once. `created`: it did not exist before; the caller undoes with `remove` if it fails later.
   *  @throws request/invalid, request/not-found for a driver other than local */
  ensure(body: VolumeCreateBody): { readonly volume: VolumeInspect; readonly created: boolean } {
    const anonymous = (body.Name ?? "") === "";
    const name = anonymous ? randomVolumeName() : (body.Name ?? "");
    checkVolumeName(name);
    const driver = body.Driver ?? "";
    if (driver !== "" && driver !== "local") {
      const message = `create ${name}: error looking up volume plugin ${driver}: plugin ${JSON.stringify(driver)} not found`;
      throw new TscomposeError("request/not-found", message, {
        hint: "use the driver local: there are no volume plugins",
      });
    }
    const existing = this.#store.get(name);
    if (existing !== undefined) return { volume: this.#inspect(existing), created: false };
    const options = emptyToNull(body.DriverOpts);
    checkDriverOptions(name, options ?? {});
    const labels = anonymous ? { [anonymousLabel]: "", ...body.Labels } : emptyToNull(body.Labels);
    const createdAt = `${new Date().toISOString().slice(0, 19)}Z`;
    const record: VolumeRecord = { version: 1, name, createdAt, labels, options };
    this.#store.add(record);
    this.#options.publish({ type: "volume", action: "create", id: name, attributes: { driver: "local" } });
    return { volume: this.#inspect(record), created: true };
  }

  list(
    filters: Filters,
  ): Promise<{ readonly Volumes: readonly VolumeInspect[]; readonly Warnings: readonly string[] }> {
    const unused = (record: VolumeRecord): boolean => this.#options.usersOf(record.name).length === 0;
    const records = this.#store.all().filter((record) => matchesVolume(record, filters, unused));
    return Promise.resolve({ Volumes: records.map((record) => this.#inspect(record)), Warnings: [] });
  }

  inspect(name: string): Promise<VolumeInspect> {
    return Promise.resolve(this.#inspect(this.#get(name)));
  }

  async remove(name: string, force: boolean): Promise<void> {
    if (this.#store.get(name) === undefined && force) return;
    this.#get(name);
    const users = new Set([...this.#options.usersOf(name), ...(this.#holders.get(name) ?? [])]);
    if (users.size > 0) {
      throw new TscomposeError("volume/in-use", `remove ${name}: volume is in use - [${[...users].join(", ")}]`, {
        hint: "remove the containers that use it first",
        details: { users: [...users] },
      });
    }
    await this.#store.delete(name);
    this.#options.publish({ type: "volume", action: "destroy", id: name, attributes: { driver: "local" } });
  }

  /** Unused volumes: the anonymous ones, with filter `all=true` the named ones too. */
  async prune(
    filters: Filters,
  ): Promise<{ readonly VolumesDeleted: readonly string[]; readonly SpaceReclaimed: number }> {
    const all = filters.get("all")?.some((value) => ["1", "true"].includes(value)) === true;
    const conditions = new Map([...filters].filter(([key]) => key !== "all"));
    const deleted: string[] = [];
    let reclaimed = 0;
    for (const record of this.#store.all()) {
      const taken = all || Object.hasOwn(record.labels ?? {}, anonymousLabel);
      if (!taken || !matchesVolume(record, conditions, () => true)) continue;
      if (this.#options.usersOf(record.name).length > 0 || this.#holders.has(record.name)) continue;
      const size = await directorySize(this.#store.dataPath(record.name));
      await this.remove(record.name, true);
      deleted.push(record.name);
      reclaimed += size;
    }
    this.#options.publish({ type: "volume", action: "prune", id: "", attributes: { reclaimed: String(reclaimed) } });
    return { VolumesDeleted: deleted, SpaceReclaimed: reclaimed };
  }

  /** Every volume with its size on disk and its number of users, for /system/df. */
  async usage(): Promise<readonly VolumeInspect[]> {
    const usage: VolumeInspect[] = [];
    for (const record of this.#store.all()) {
      const Size = await directorySize(this.#store.dataPath(record.name));
      usage.push({
        ...this.#inspect(record),
        UsageData: { Size, RefCount: this.#options.usersOf(record.name).length },
      });
    }
    return usage;
  }

  /** Makes the volume usable for a container that starts (mounts it where its driver options say so).
   *  @returns the directory to bind. @throws volume/not-found, container/start-failed */
  async acquire(name: string, use: VolumeUse): Promise<string> {
    return this.#exclusively(name, async () => {
      const record = this.#get(name);
      const path = this.#store.dataPath(name);
      const plan = planVolumeMount(record.options ?? {});
      const holders = this.#holders.get(name) ?? new Set();
      if (plan !== undefined && holders.size === 0) await mountVolume(name, plan, path);
      this.#holders.set(name, holders.add(use.containerId));
      this.#options.publish({ type: "volume", action: "mount", id: name, attributes: useAttributes(use) });
      return path;
    });
  }

  /** The container has ended: unmounts what nobody else holds. Idempotent. */
  async release(name: string, containerId: string): Promise<void> {
    return this.#exclusively(name, () => {
      const holders = this.#holders.get(name);
      if (holders?.delete(containerId) !== true) return;
      const attributes = { container: containerId, driver: "local" };
      this.#options.publish({ type: "volume", action: "unmount", id: name, attributes });
      if (holders.size > 0) return;
      this.#holders.delete(name);
      const record = this.#store.get(name);
      if (record !== undefined && planVolumeMount(record.options ?? {}) !== undefined)
        unmountVolume(this.#store.dataPath(name));
    });
  }

  /** Fills an empty volume with what the image holds at `target`. Call between `acquire` and the start, with the container's
   *  root mounted. A crash leaves the volume empty or full, never half full, unless others hold it too. */
  async copyUp(name: string, root: ImageRoot, target: string): Promise<void> {
    return this.#exclusively(name, async () => {
      const path = this.#store.dataPath(name);
      if (readdirSync(path).length > 0) return;
      const mounted = planVolumeMount(this.#get(name).options ?? {}) !== undefined;
      if (mounted || (this.#holders.get(name)?.size ?? 0) > 1) {
        await copyUp(root, target, path);
        return;
      }
      const staging = this.#store.stagingPath(name);
      makeLike(staging, statSync(path));
      try {
        await copyUp(root, target, staging);
        renameSync(staging, path); // rename(2) replaces an empty directory
      } catch (error) {
        await rm(staging, { recursive: true, force: true });
        throw error;
      }
    });
  }

  #get(name: string): VolumeRecord {
    const record = this.#store.get(name);
    if (record === undefined) throw new TscomposeError("volume/not-found", `get ${name}: no such volume`);
    return record;
  }

  #inspect(record: VolumeRecord): VolumeInspect {
    return {
      CreatedAt: record.createdAt,
      Driver: "local",
      Labels: record.labels,
      Mountpoint: this.#store.dataPath(record.name),
      Name: record.name,
      Options: record.options,
      Scope: "local",
    };
  }

  async #exclusively<T>(name: string, work: () => T | Promise<T>): Promise<T> {
    const before = this.#busy.get(name) ?? Promise.resolve();
    const mine = before.then(work, work);
    this.#busy.set(name, mine);
    try {
      return await mine;
    } finally {
      if (this.#busy.get(name) === mine) this.#busy.delete(name);
    }
  }
}

function useAttributes(use: VolumeUse): Record<string, string> {
  return {
    container: use.containerId,
    destination: use.destination,
    driver: "local",
    propagation: use.propagation,
    "read/write": String(use.readWrite),
  };
}

function emptyToNull(
  map: Readonly<Record<string, string>> | null | undefined,
): Readonly<Record<string, string>> | null {
  return map === null || map === undefined || Object.keys(map).length === 0 ? null : map;
}

/** @throws request/invalid for a filter that volumes do not have */
function matchesVolume(record: VolumeRecord, filters: Filters, unused: (record: VolumeRecord) => boolean): boolean {
  return [...filters].every(([key, values]) => {
    const labels = record.labels ?? {};
    switch (key) {
      case "dangling":
        return values.every((value) => (["1", "true"].includes(value) ? unused(record) : !unused(record)));
      case "driver":
        return values.includes("local");
      case "name":
        return values.some((value) => record.name.includes(value));
      case "label":
        return values.every((value) => matchesLabel(labels, value));
      case "label!":
        return !values.some((value) => matchesLabel(labels, value));
      default:
        throw new TscomposeError("request/invalid", `invalid filter '${key}'`);
    }
  });
}
