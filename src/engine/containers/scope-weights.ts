/** Weights of a scope that systemd has made. crun sets them inside it, where nothing competes; among the groups of the slice that of the
 *  scope counts. Source: systemd.resource-control(5). */
import { posix } from "node:path";
import { runCommand } from "../../host/command.ts";
import type { Resources } from "../types.ts";
import { cgroupPathOf, ioWeightOf } from "./cgroup-place.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";
import { weightOfShares } from "./kernel-limits.ts";

/** `changed`: the names of the limits that are new. @throws host/command-failed */
export async function applyScopeWeights(
  ctx: ContainerContext,
  container: Container,
  { limits, changed }: { readonly limits: Resources; readonly changed: readonly string[] },
): Promise<void> {
  const scope = posix.basename(posix.dirname(cgroupPathOf(ctx, container)));
  if (!scope.endsWith(".scope")) return;
  const properties = [
    ...(changed.includes("CpuShares") && limits.CpuShares ? [`CPUWeight=${weightOfShares(limits.CpuShares)}`] : []),
    ...(changed.includes("BlkioWeight") && limits.BlkioWeight ? [`IOWeight=${ioWeightOf(limits.BlkioWeight)}`] : []),
  ];
  if (properties.length > 0) await runCommand(["systemctl", "set-property", "--runtime", scope, ...properties]);
}
