/** Changes limits and restart policy of a container, also while it runs. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorMessage, TscomposeError } from "../../errors.ts";
import { containerAttributes } from "../events.ts";
import { runCommand } from "../../host/command.ts";
import { runtimeLimits } from "../runtime/build-spec.ts";
import { runtimeCommand } from "../runtime/oci-runtime.ts";
import { resourcesSpec } from "../runtime/resources.ts";
import type { HostConfig, Resources, RestartPolicy } from "../types.ts";
import { changeThrottles, throttleFields } from "./block-throttle.ts";
import { applyBlockWeight } from "./block-weight.ts";
import { cgroupPathOf } from "./cgroup-place.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";
import { checkResources, normaliseResources } from "./create/resources.ts";
import { applyScopeWeights } from "./scope-weights.ts";
import { limitedDevices } from "./spec-of.ts";
import { checkRestartPolicy, normaliseRestartPolicy } from "./create/restart-policy-request.ts";

const changeable = new Set(
  (
    "CpuShares Memory NanoCpus BlkioWeight CpuPeriod CpuQuota CpusetCpus CpusetMems " +
    "MemoryReservation MemorySwap PidsLimit CpuRealtimePeriod CpuRealtimeRuntime RestartPolicy " +
    throttleFields.join(" ")
  ).split(" "),
);

/** Zero, empty and absent leave a limit as it is. @throws request/invalid, request/unsupported, host/unsupported */
export async function updateContainer(
  ctx: ContainerContext,
  container: Container,
  changes: Resources & { readonly RestartPolicy?: RestartPolicy },
): Promise<{ readonly Warnings: readonly string[] }> {
  const wanted = Object.entries(changes).filter(([, value]) => isGiven(value));
  for (const [key, value] of wanted) {
    if (changeable.has(key) || unchanged(container.record.hostConfig, key, value)) continue;
    throw new TscomposeError("request/unsupported", `${key} of an existing container cannot be changed`, {
      hint: "create the container anew",
      details: { field: key },
    });
  }
  const before = container.record.hostConfig;
  const limits = wanted.filter(([key]) => changeable.has(key) && key !== "RestartPolicy");
  const next: HostConfig = withoutConflicts({ ...before, ...Object.fromEntries(limits) }, changes);
  const hostConfig: HostConfig = {
    ...next,
    ...normaliseResources(next),
    RestartPolicy: changes.RestartPolicy?.Name
      ? normaliseRestartPolicy(changes.RestartPolicy)
      : (before.RestartPolicy ?? { Name: "no" }),
  };
  const Warnings = checkResources(hostConfig, ctx.host);
  checkRestartPolicy(hostConfig.RestartPolicy, hostConfig.AutoRemove === true);
  limitedDevices(hostConfig);
  if (container.alive && limits.length > 0) {
    await apply(ctx, container, { hostConfig, changed: limits.map(([key]) => key) });
  }
  container.change({ hostConfig });
  container.persist();
  const attributes = containerAttributes(container.record);
  ctx.publish({ type: "container", action: "update", id: container.id, attributes });
  return { Warnings };
}

/** A new way to limit the CPU replaces the old one. */
function withoutConflicts(config: HostConfig, changes: Resources): HostConfig {
  if ((changes.NanoCpus ?? 0) > 0) return { ...config, CpuPeriod: 0, CpuQuota: 0 };
  if ((changes.CpuQuota ?? 0) > 0 || (changes.CpuPeriod ?? 0) > 0) return { ...config, NanoCpus: 0 };
  return config;
}

function isGiven(value: unknown): boolean {
  if (value === undefined || value === null || value === 0 || value === "" || value === false) return false;
  if (Array.isArray(value)) return value.length > 0;
  return !(typeof value === "object" && "Name" in value && value.Name === "");
}

function unchanged(config: HostConfig, key: string, value: unknown): boolean {
  // MemorySwappiness -1 is how clients say nothing.
  if (key === "MemorySwappiness" && value === -1) return true;
  return JSON.stringify(config[key as keyof HostConfig]) === JSON.stringify(value);
}

async function apply(
  ctx: ContainerContext,
  container: Container,
  { hostConfig, changed }: { readonly hostConfig: HostConfig; readonly changed: readonly string[] },
): Promise<void> {
  // Those of single devices are written here: a runtime cannot take one away.
  const withoutDevices = Object.fromEntries(["BlkioWeightDevice", ...throttleFields].map((field) => [field, null]));
  const limits: HostConfig = { ...runtimeLimits(hostConfig, ctx.host), ...withoutDevices };
  const { devices: _devices, ...resources } = resourcesSpec(limits, { rules: [], numbers: new Map() });
  // A file: what Node gives as standard input is a socket, which the runtime cannot open as /dev/stdin.
  const file = join(container.paths.bundle, "resources.json");
  try {
    writeFileSync(file, JSON.stringify(resources), { mode: 0o600 });
    await runCommand([...runtimeCommand(ctx.runtime), "update", "--resources", file, container.id]);
    applyBlockWeight(ctx, container, hostConfig);
    for (const field of throttleFields.filter((name) => changed.includes(name))) {
      const [before, after] = [container.record.hostConfig[field] ?? [], hostConfig[field] ?? []];
      changeThrottles({ mounts: ctx.host.cgroup, group: cgroupPathOf(ctx, container) }, field, { before, after });
    }
    await applyScopeWeights(ctx, container, { limits: hostConfig, changed });
  } catch (error) {
    const message = `the limits of container ${container.name} could not be changed: ${errorMessage(error)}`;
    throw new TscomposeError("engine/failed", message, {
      cause: error,
      hint: "a memory limit cannot go below what is in use, nor above the swap limit",
    });
  } finally {
    rmSync(file, { force: true });
  }
}
