/** Where the group of a container is, or will be when it is started. */
import { posix } from "node:path";
import { slicePath } from "../runtime/cgroup-driver.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";

type PlaceContext = Pick<ContainerContext, "cgroupRoot" | "host" | "runtime">;

export interface CgroupPlace {
  /** For the runtime specification. */
  readonly specified: string;
  /** Path below the root of the hierarchies. */
  readonly group: string;
  /** What the runtime is to know beyond the path. */
  readonly annotations: Readonly<Record<string, string>>;
}

const defaultSlice = "system.slice";
/** crun makes it inside the scope: systemd, which resets the limits of units whenever its configuration is read again, leaves it alone. */
const subgroup = "container";

/** Of the next run. `run`: differs between runs of one container, for a scope may outlive its processes by a moment. Without systemd
 *  `/tscompose-<tag>[/<cgroup parent>]/<id>`: a parent is below ours, wherever it says it is. With it
 *  `/<slices>/tscompose-<tag>-<id>.<run>.scope`. */
export function placeCgroup(ctx: PlaceContext, container: Container, run: string): CgroupPlace {
  const { BlkioWeight, CgroupParent } = container.record.hostConfig;
  if (ctx.host.cgroupDriver === "cgroupfs") {
    const group = posix.join(ctx.cgroupRoot, posix.normalize(`/${CgroupParent ?? ""}`), container.id);
    return { specified: group, group, annotations: {} };
  }
  const slice = CgroupParent || defaultSlice;
  const [prefix, name] = [scopePrefix(ctx.cgroupRoot), `${container.id}.${run}`];
  const scope = `${slicePath(slice)}/${prefix}-${name}.scope`;
  const onlyCrun = ctx.runtime.name === "crun";
  return {
    specified: `${slice}:${prefix}:${name}`,
    group: onlyCrun ? `${scope}/${subgroup}` : scope,
    annotations: {
      ...(onlyCrun ? { "run.oci.systemd.subgroup": subgroup } : {}),
      // Else systemd's default for all units, a share of the machine, would bound the container.
      "org.systemd.property.TasksMax": `uint64 ${2n ** 64n - 1n}`,
      "org.systemd.property.CollectMode": "'inactive-or-failed'",
      // Weights count among the groups of one parent: the scope's are those of the slice.
      ...(BlkioWeight ? { "org.systemd.property.IOWeight": `uint64 ${ioWeightOf(BlkioWeight)}` } : {}),
    },
  };
}

/** Of version 2, for one of Docker's scale (10 to 1000). */
export const ioWeightOf = (blkioWeight: number): number => 1 + Math.floor(((blkioWeight - 10) * 9999) / 990);

/** Of the run that goes on, else of the last one. */
export function cgroupPathOf(ctx: PlaceContext, container: Container): string {
  return (
    container.state.cgroup ??
    placeCgroup({ ...ctx, host: { ...ctx.host, cgroupDriver: "cgroupfs" } }, container, "").group
  );
}

const scopePrefix = (cgroupRoot: string): string => cgroupRoot.slice(1);

/** The container's id, when `group` is the scope of one of this engine's. */
export function scopeOwner(cgroupRoot: string, group: string): string | undefined {
  const name = posix.basename(group);
  if (!name.startsWith(`${scopePrefix(cgroupRoot)}-`) || !name.endsWith(".scope")) return undefined;
  return name.slice(scopePrefix(cgroupRoot).length + 1).split(".", 1)[0];
}
