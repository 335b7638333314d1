/** The share of block I/O of a container on cgroup version 1, where the file is named after the scheduler that the kernel has: the
 *  runtimes know only the older name. On version 2 the runtime sets it. Source: Linux admin-guide/cgroup-v1/blkio-controller,
 *  block/bfq-iosched. */
import { statSync } from "node:fs";
import { errnoOf, TscomposeError } from "../../errors.ts";
import { readCgroupFile, writeCgroupFile } from "../../host/cgroup.ts";
import { deviceNumbers } from "../runtime/devices.ts";
import type { Resources } from "../types.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";
import { cgroupPathOf } from "./cgroup-place.ts";

/** The container's group exists. @throws host/unsupported where the kernel has no weights */
export function applyBlockWeight(ctx: ContainerContext, container: Container, limits: Resources): void {
  const mountPoint = ctx.host.cgroup.controllers.get("blkio");
  if (ctx.host.cgroup.version !== 1 || mountPoint === undefined) return;
  const group = cgroupPathOf(ctx, container);
  const write = (field: string, suffix: string, value: string): void => {
    const files = [`blkio.bfq.${suffix}`, `blkio.${suffix}`];
    const file = files.find((name) => readCgroupFile(mountPoint, group, name) !== undefined);
    if (file === undefined) {
      throw new TscomposeError(
        "host/unsupported",
        `HostConfig.${field} cannot be applied: the cgroup controller blkio of this kernel has no weights`,
        { hint: `leave ${field} out, or use a kernel with the BFQ scheduler`, details: { field, controller: "blkio" } },
      );
    }
    try {
      writeCgroupFile({ mountPoint, group }, file, value);
    } catch (error) {
      throw new TscomposeError(
        "host/unsupported",
        `HostConfig.${field} cannot be applied: ${errnoOf(error)} on ${file}: ${value}`,
        { cause: error, hint: "weights need the BFQ scheduler on the device", details: { field, controller: "blkio" } },
      );
    }
  };
  if (limits.BlkioWeight) write("BlkioWeight", "weight", String(limits.BlkioWeight));
  for (const { Path, Weight } of limits.BlkioWeightDevice ?? []) {
    const { major, minor } = deviceNumbers(statSync(Path));
    write("BlkioWeightDevice", "weight_device", `${major}:${minor} ${Weight}`);
  }
}
