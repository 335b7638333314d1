/** Reads the records of an earlier engine. A directory without a record is a container that was being made or removed; a record
 *  that cannot be read is set aside, never fatal (reliability.md R-9). */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, errorMessage } from "../../errors.ts";
import { bootId } from "../../host/process-identity.ts";
import { containerPaths, containersDir, corruptDir, type EngineRoots } from "./paths.ts";
import type { ContainerRecord, RecordedState } from "./record.ts";

export interface LoadedRecords {
  readonly records: readonly ContainerRecord[];
  /** Directories that belong to no container: to be removed once nothing runs in them. */
  readonly leftovers: readonly string[];
  /** What was set aside, as messages. */
  readonly corrupt: readonly string[];
}

export function loadRecords(roots: EngineRoots): LoadedRecords {
  const records: ContainerRecord[] = [];
  const leftovers: string[] = [];
  const corrupt: string[] = [];
  for (const id of readdirSync(containersDir(roots))) {
    const paths = containerPaths(roots, id);
    let text: string;
    try {
      text = readFileSync(paths.record, "utf8");
    } catch (error) {
      if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") leftovers.push(paths.dir);
      else corrupt.push(setAside(roots, id, errorMessage(error)));
      continue;
    }
    const record = parseRecord(text, id);
    if (typeof record === "string") corrupt.push(setAside(roots, id, record));
    else records.push({ ...record, state: currentState(roots, record) });
  }
  return { records, leftovers, corrupt };
}

/** The record, or why it is none. */
export function parseRecord(text: string, id: string): ContainerRecord | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return errorMessage(error);
  }
  if (typeof value !== "object" || value === null) return "it is no object";
  const record = value as Partial<Record<keyof ContainerRecord, unknown>>;
  if (record.version !== 1) return `its version is ${String(record.version)}, not 1`;
  if (record.id !== id) return "it is of another container";
  const texts = [record.name, record.created, record.imageId, record.imageRef, record.path];
  const objects = [record.config, record.hostConfig, record.endpoints, record.state];
  const lists = [record.args, record.mounts];
  const whole =
    texts.every((text_) => typeof text_ === "string") &&
    objects.every((object) => typeof object === "object" && object !== null) &&
    lists.every((list) => Array.isArray(list)) &&
    typeof (record.state as Partial<RecordedState>).status === "string";
  return whole ? (value as ContainerRecord) : "fields are missing";
}

/** The state of this boot, where there is one: it is newer than the record's. */
function currentState(roots: EngineRoots, record: ContainerRecord): RecordedState {
  try {
    const text = readFileSync(containerPaths(roots, record.id).state, "utf8");
    const saved = JSON.parse(text.split("\n", 1)[0] ?? "") as {
      readonly bootId?: unknown;
      readonly state?: RecordedState;
    };
    if (saved.bootId === bootId() && typeof saved.state?.status === "string") return saved.state;
  } catch {
    // none of this boot, or one that was cut off: the record stands
  }
  return record.state;
}

function setAside(roots: EngineRoots, id: string, reason: string): string {
  const target = join(corruptDir(roots), `container-${id}`);
  mkdirSync(corruptDir(roots), { recursive: true, mode: 0o700 });
  rmSync(target, { recursive: true, force: true });
  renameSync(containerPaths(roots, id).dir, target);
  return `the record of container ${id.slice(0, 12)} cannot be read (${reason}); it is kept at ${target}`;
}
