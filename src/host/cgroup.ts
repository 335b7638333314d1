/** cgroup hierarchies: where they are mounted, and one group's files in them. Version 1 has a hierarchy a controller, version 2
 *  one for all. Group paths begin with "/" and are relative to the root of the hierarchy.
 *  Source: cgroups(7), Linux admin-guide/cgroup-v1 and cgroup-v2. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { rmdir } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "../errors.ts";

export interface CgroupMounts {
  /** 2 when controllers live in the unified hierarchy. On a hybrid host the unified one has none: that is 1. */
  readonly version: 1 | 2;
  /** Controller (`memory`, `cpu`, ...) -> mount point. On version 2 all have the same. */
  readonly controllers: ReadonlyMap<string, string>;
  /** Every mount point, also of named hierarchies without controllers. */
  readonly mountPoints: readonly string[];
  /** Where an otherwise empty unified hierarchy of a hybrid host is mounted. */
  readonly hybridUnified: string | undefined;
}

export function readCgroupMounts(): CgroupMounts {
  const mounts = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "))
    .map(([, target = "", type = "", options = ""]) => ({ target, type, options: options.split(",") }));
  const unified = mounts.find(({ type }) => type === "cgroup2")?.target;
  const v1 = mounts.filter(({ type }) => type === "cgroup");
  const known = new Set(
    readFileSync("/proc/self/cgroup", "latin1")
      .split("\n")
      .flatMap((line) => line.split(":")[1]?.split(",") ?? [])
      .filter((name) => name !== ""),
  );
  if (v1.length === 0 && unified !== undefined) {
    const names = readFileSync(join(unified, "cgroup.controllers"), "latin1").trim().split(" ").filter(Boolean);
    const controllers = new Map(names.map((name) => [name, unified]));
    return { version: 2, controllers, mountPoints: [unified], hybridUnified: undefined };
  }
  const controllers = new Map<string, string>();
  for (const { target, options } of v1) {
    for (const option of options) {
      if (known.has(option) && !option.startsWith("name=")) controllers.set(option, target);
    }
  }
  return { version: 1, controllers, mountPoints: v1.map(({ target }) => target), hybridUnified: unified };
}

/** Reads a file of a group; undefined when the group or the file is not there. */
export function readCgroupFile(mountPoint: string, group: string, file: string): string | undefined {
  try {
    return readFileSync(join(mountPoint, group, file), "latin1").trim();
  } catch {
    return undefined;
  }
}

/** @throws the system's error */
export function writeCgroupFile(
  at: { readonly mountPoint: string; readonly group: string },
  file: string,
  value: string,
): void {
  writeFileSync(join(at.mountPoint, at.group, file), value);
}

/** Process ids in a group and the groups below it. */
export function cgroupProcesses(mountPoint: string, group: string): readonly number[] {
  const pids = (readCgroupFile(mountPoint, group, "cgroup.procs") ?? "").split("\n").filter(Boolean).map(Number);
  return [...pids, ...subgroups(mountPoint, group).flatMap((child) => cgroupProcesses(mountPoint, child))];
}

/** Names of the groups directly below one. */
export function subgroups(mountPoint: string, group: string): readonly string[] {
  try {
    return readdirSync(join(mountPoint, group), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(group, entry.name));
  } catch {
    return [];
  }
}

/** Removes a group and what is below it from every hierarchy, off the main thread: the kernel takes its time.
 *  @returns mount points where it is still there, because processes have not left it yet. */
export async function removeCgroup(mounts: CgroupMounts, group: string): Promise<readonly string[]> {
  const removed = await Promise.all(mounts.mountPoints.map((mountPoint) => removeFrom(mountPoint, group)));
  return mounts.mountPoints.filter((_, index) => removed[index] === false);
}

async function removeFrom(mountPoint: string, group: string): Promise<boolean> {
  try {
    await rmdir(join(mountPoint, group));
    return true;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT") return true;
    if (errno !== "EBUSY" && errno !== "ENOTEMPTY") throw error;
  }
  const children = subgroups(mountPoint, group);
  if (children.length === 0) return false;
  const removed = await Promise.all(children.map((child) => removeFrom(mountPoint, child)));
  return removed.every(Boolean) && removeFrom(mountPoint, group);
}

/** Removes a group that nothing is in; one that is in use stays. */
export async function removeEmptyCgroup(mounts: CgroupMounts, group: string): Promise<void> {
  for (const mountPoint of mounts.mountPoints) {
    try {
      await rmdir(join(mountPoint, group));
    } catch (error) {
      if (!["ENOENT", "EBUSY", "ENOTEMPTY"].includes(errnoOf(error) ?? "")) throw error;
    }
  }
}

/** Stops or continues all processes of a group. Asked, not awaited: `isFrozen` tells. */
export function freezeCgroup(mounts: CgroupMounts, group: string, frozen: boolean): void {
  if (mounts.version === 2) {
    writeCgroupFile({ mountPoint: unifiedOf(mounts), group }, "cgroup.freeze", frozen ? "1" : "0");
  } else {
    const mountPoint = mounts.controllers.get("freezer") ?? "/sys/fs/cgroup/freezer";
    writeCgroupFile({ mountPoint, group }, "freezer.state", frozen ? "FROZEN" : "THAWED");
  }
}

export function isFrozen(mounts: CgroupMounts, group: string): boolean {
  if (mounts.version === 2) {
    return /^frozen 1$/m.test(readCgroupFile(unifiedOf(mounts), group, "cgroup.events") ?? "");
  }
  const mountPoint = mounts.controllers.get("freezer");
  return mountPoint !== undefined && readCgroupFile(mountPoint, group, "freezer.state") === "FROZEN";
}

/** How often the kernel has killed something in the group for lack of memory. */
export function oomKills(mounts: CgroupMounts, group: string): number {
  const mountPoint = mounts.controllers.get("memory");
  if (mountPoint === undefined) return 0;
  const file = mounts.version === 2 ? "memory.events" : "memory.oom_control";
  return Number(/^oom_kill (\d+)$/m.exec(readCgroupFile(mountPoint, group, file) ?? "")?.[1] ?? 0);
}

const unifiedOf = (mounts: CgroupMounts): string => mounts.mountPoints[0] ?? "/sys/fs/cgroup";
