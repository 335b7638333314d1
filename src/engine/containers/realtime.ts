/** Real-time scheduling of a container (cgroup version 1, kernels with CONFIG_RT_GROUP_SCHED): the groups above its own must have
 *  the time that they hand on. Source: Linux scheduler/sched-rt-group: children together may not have more than their parent. */
import { mkdirSync } from "node:fs";
import { join, posix } from "node:path";
import { TscomposeError } from "../../errors.ts";
import { readCgroupFile, subgroups, writeCgroupFile } from "../../host/cgroup.ts";
import type { Resources } from "../types.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";
import { cgroupPathOf } from "./cgroup-place.ts";

const defaultPeriodUs = 1_000_000;

/** Call before the runtime makes the container's group. @throws host/unsupported where a group above has no time to give */
export function reserveRealtime(ctx: ContainerContext, container: Container): void {
  const { CpuRealtimeRuntime: runtime = 0, CpuRealtimePeriod: period = 0 } = container.record.hostConfig;
  const mountPoint = ctx.host.cgroup.controllers.get("cpu");
  if (runtime <= 0 || ctx.host.cgroup.version !== 1 || mountPoint === undefined) return;
  const group = cgroupPathOf(ctx, container);
  const share = runtime / (period > 0 ? period : defaultPeriodUs);
  for (const above of groupsBetween(ctx.cgroupRoot, group)) {
    mkdirSync(join(mountPoint, above), { recursive: true });
    raise({ mountPoint, group: above }, share, group);
  }
}

/** The groups from `root` down to the one above `group`. */
function groupsBetween(root: string, group: string): readonly string[] {
  const groups: string[] = [];
  for (let at = posix.dirname(group); at.startsWith(root); at = posix.dirname(at)) groups.unshift(at);
  return groups;
}

/** Gives the group what its children have, and `more`. */
function raise(at: { readonly mountPoint: string; readonly group: string }, more: number, except: string): void {
  const children = subgroups(at.mountPoint, at.group).filter((child) => child !== except);
  const needed = children.reduce((sum, child) => sum + shareOf(at.mountPoint, child), more);
  if (shareOf(at.mountPoint, at.group) >= needed) return;
  try {
    const period = Number(readCgroupFile(at.mountPoint, at.group, "cpu.rt_period_us") ?? defaultPeriodUs);
    writeCgroupFile(at, "cpu.rt_runtime_us", String(Math.ceil(needed * period)));
  } catch (error) {
    throw new TscomposeError(
      "host/unsupported",
      `HostConfig.CpuRealtimeRuntime cannot be applied: the cgroup controller cpu has no real-time left for ${at.group}`,
      {
        cause: error,
        hint: `raise cpu.rt_runtime_us of the groups above it in ${at.mountPoint}, or ask for less`,
        details: { field: "CpuRealtimeRuntime", controller: "cpu" },
      },
    );
  }
}

function shareOf(mountPoint: string, group: string): number {
  const period = Number(readCgroupFile(mountPoint, group, "cpu.rt_period_us") ?? 0);
  const runtime = Number(readCgroupFile(mountPoint, group, "cpu.rt_runtime_us") ?? 0);
  return period > 0 ? runtime / period : 0;
}

/** @throws request/invalid */
export function checkRealtime({ CpuRealtimePeriod: period = 0, CpuRealtimeRuntime: runtime = 0 }: Resources): void {
  if (period < 0 || runtime < 0) {
    throw new TscomposeError("request/invalid", "real-time period and runtime of the CPU cannot be negative");
  }
  if (period > 0 && runtime > period) {
    throw new TscomposeError("request/invalid", "cpu real-time runtime cannot be higher than cpu real-time period");
  }
}
