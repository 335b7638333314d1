/** Notes that the kernel has killed for lack of memory while the group of the container is still there: systemd takes a scope away as
 *  soon as its last process has gone, and what it counted with it. Source: Linux admin-guide/cgroup-v2, memory.events. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { oomKills, type CgroupMounts } from "../../host/cgroup.ts";
import { IN_MODIFY, type Inotify } from "../../host/inotify.ts";
import type { Container } from "./container.ts";

export class OomWatch {
  readonly #inotify: Inotify;
  readonly #mounts: CgroupMounts;
  readonly #stops = new Map<string, () => void>();

  constructor(inotify: Inotify, mounts: CgroupMounts) {
    this.#inotify = inotify;
    this.#mounts = mounts;
  }

  /** Call when the container is about to run, also when it ran before this engine did. Idempotent. */
  watch(container: Container): void {
    this.unwatch(container.id);
    const memory = this.#mounts.controllers.get("memory");
    const { cgroup } = container.state;
    if (this.#mounts.version !== 2 || memory === undefined || cgroup === undefined) return;
    const note = (): void => {
      if (oomKills(this.#mounts, cgroup) === 0) return;
      try {
        writeFileSync(container.paths.oomFile, "");
      } catch {
        // A full disk, or a folder that is gone: nothing else may fail for that.
      }
    };
    try {
      this.#stops.set(container.id, this.#inotify.watch(join(memory, cgroup, "memory.events"), IN_MODIFY, note));
      note();
    } catch {
      // The group has no such file, or the machine has no watches left: then what is there at the end counts.
    }
  }

  /** Idempotent. */
  unwatch(containerId: string): void {
    this.#stops.get(containerId)?.();
    this.#stops.delete(containerId);
  }

  close(): void {
    for (const stop of this.#stops.values()) stop();
    this.#stops.clear();
  }
}
