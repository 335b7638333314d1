/** Pays beforehand what the kernel charges for moving a process to another control group. It takes a lock for that, which it
 *  first makes exclusive for all CPUs: that waits for an RCU grace period, some 10 ms, and holds for about as long afterwards.
 *  Source: Linux `cgroup_attach_lock`, `percpu_down_write`, `rcu_sync_enter`. */
import { closeSync, openSync, readFileSync, write } from "node:fs";
import { join } from "node:path";
import { readCgroupMounts } from "./cgroup.ts";

let mount: { readonly controller: string; readonly path: string } | undefined | "unknown" = "unknown";
let underWay: Promise<boolean> | undefined;

/** To be called some milliseconds before a process is moved: the wait then passes beside what comes in between, on another
 *  thread. Moves this process to where it is. Resolves with whether that was possible; nothing depends on it but time. */
export function expectCgroupMove(): Promise<boolean> {
  underWay ??= moveToOwnGroup().finally(() => (underWay = undefined));
  return underWay;
}

/** Only the write is left to the other thread: it begins at once, however busy this one is. */
function moveToOwnGroup(): Promise<boolean> {
  return new Promise((resolve) => {
    try {
      const path = ownGroup();
      if (path === undefined) return resolve(false);
      // Opened without O_CREAT: where the group is out of sight, nothing is written anywhere.
      const fd = openSync(join(path, "cgroup.procs"), "r+");
      write(fd, "0", (error) => {
        closeSync(fd);
        resolve(error === null);
      });
    } catch {
      resolve(false);
    }
  });
}

/** The folder of this process's group in one hierarchy; any will do, the lock is one for all. */
function ownGroup(): string | undefined {
  if (mount === "unknown") mount = firstMount();
  if (mount === undefined) return undefined;
  const { controller, path } = mount;
  const line = readFileSync("/proc/self/cgroup", "latin1")
    .split("\n")
    .map((text) => /^\d+:([^:]*):(.*)$/.exec(text))
    .find((fields) => fields?.[1]?.split(",").includes(controller) === true);
  return line?.[2] === undefined ? undefined : join(path, line[2]);
}

function firstMount(): { readonly controller: string; readonly path: string } | undefined {
  const { version, controllers, mountPoints } = readCgroupMounts();
  const [first] = controllers;
  if (version === 1) return first === undefined ? undefined : { controller: first[0], path: first[1] };
  return mountPoints[0] === undefined ? undefined : { controller: "", path: mountPoints[0] };
}
