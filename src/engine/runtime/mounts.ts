/** The mounts of a container, in the order in which the runtime makes them. Pure. Source: security.md 1.3. */
import type { ResolvedMount } from "../containers/record.ts";
import type { MountSpec } from "./spec-types.ts";

export interface MountPlan {
  readonly privileged: boolean;
  readonly readonlyRootfs: boolean;
  /** Bytes of /dev/shm; ignored with `sharedMemory`. */
  readonly shmSize: number;
  /** A directory of the host to use as /dev/shm; undefined: its own; null: none (ipc mode "none"). */
  readonly sharedMemory: string | undefined | null;
  readonly hostIpc: boolean;
  /** The host's network namespace: its sysfs may not be mounted anew by everyone, so it is bound. */
  readonly cgroupWritable: boolean;
  /** Files of the engine -> places in the container. */
  readonly files: readonly { readonly source: string; readonly destination: string; readonly readOnly: boolean }[];
  /** Sources are ready. */
  readonly mounts: readonly ResolvedMount[];
}

export function mountSpecs(plan: MountPlan): readonly MountSpec[] {
  const own = new Set(plan.mounts.map(({ Destination }) => Destination));
  const standard = [...kernelMounts(plan), ...fileMounts(plan)];
  return [
    ...standard.filter(({ destination }) => !own.has(destination)),
    ...plan.mounts.map(userMount).toSorted((a, b) => depth(a.destination) - depth(b.destination)),
  ];
}

const depth = (path: string): number => path.split("/").length;

function kernelMounts(plan: MountPlan): readonly MountSpec[] {
  const hardened = ["nosuid", "noexec", "nodev"];
  const sysfs = plan.privileged ? hardened : [...hardened, "ro"];
  const cgroup = plan.cgroupWritable ? hardened : [...hardened, "ro"];
  return [
    { destination: "/proc", type: "proc", source: "proc", options: hardened },
    {
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
    },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: sysfs },
    { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: cgroup },
    plan.hostIpc
      ? { destination: "/dev/mqueue", type: "bind", source: "/dev/mqueue", options: ["rbind", ...hardened] }
      : { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: hardened },
    ...sharedMemoryMount(plan),
  ];
}

function sharedMemoryMount(plan: MountPlan): readonly MountSpec[] {
  if (plan.sharedMemory === null) return [];
  const destination = "/dev/shm";
  if (plan.sharedMemory !== undefined) {
    return [{ destination, type: "bind", source: plan.sharedMemory, options: ["rbind", "rprivate"] }];
  }
  const options = ["nosuid", "noexec", "nodev", "mode=1777", `size=${plan.shmSize}`];
  return [{ destination, type: "tmpfs", source: "shm", options }];
}

function fileMounts(plan: MountPlan): readonly MountSpec[] {
  return plan.files.map(({ source, destination, readOnly }) => ({
    destination,
    type: "bind",
    source,
    options: ["bind", "rprivate", readOnly || plan.readonlyRootfs ? "ro" : "rw"],
  }));
}

function userMount(mount: ResolvedMount): MountSpec {
  if (mount.Type === "tmpfs") {
    return { destination: mount.Destination, type: "tmpfs", source: "tmpfs", options: mount.options };
  }
  return { destination: mount.Destination, type: "bind", source: mount.Source, options: mount.options };
}
