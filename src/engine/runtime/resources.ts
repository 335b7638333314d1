/** Limits of a container as the runtime takes them. Pure. Source: engine-api.md section 10; OCI runtime-spec "Control groups". */
import type { Resources } from "../types.ts";
import type { DeviceRuleSpec, ResourcesSpec } from "./spec-types.ts";

/** Unless it says otherwise, no container may have more processes and threads than this; Docker's default is none. */
export const defaultPidsLimit = 4096;
const cpuPeriodUs = 100_000;

/** Numbers of devices that limits are set for, by path on the host. */
export type DeviceNumbers = ReadonlyMap<string, { readonly major: number; readonly minor: number }>;

export function resourcesSpec(
  limits: Resources,
  devices: { readonly rules: readonly DeviceRuleSpec[]; readonly numbers: DeviceNumbers },
): ResourcesSpec {
  const cpu = cpuSpec(limits);
  const memory = memorySpec(limits);
  const blockIO = blockIoSpec(limits, devices.numbers);
  return {
    devices: devices.rules,
    pids: { limit: pidsLimit(limits) },
    ...(Object.keys(cpu).length === 0 ? {} : { cpu }),
    ...(Object.keys(memory).length === 0 ? {} : { memory }),
    ...(Object.keys(blockIO).length === 0 ? {} : { blockIO }),
  };
}

/** -1: no limit. */
export function pidsLimit(limits: Resources): number {
  const wanted = limits.PidsLimit ?? 0;
  if (wanted === 0) return defaultPidsLimit;
  return wanted < 0 ? -1 : wanted;
}

function memorySpec(limits: Resources): NonNullable<ResourcesSpec["memory"]> {
  return {
    ...set("limit", limits.Memory),
    ...set("swap", limits.MemorySwap),
    ...set("reservation", limits.MemoryReservation),
    ...(typeof limits.MemorySwappiness === "number" && limits.MemorySwappiness >= 0
      ? { swappiness: limits.MemorySwappiness }
      : {}),
    ...(limits.OomKillDisable === true ? { disableOOMKiller: true } : {}),
  };
}

function cpuSpec(limits: Resources): NonNullable<ResourcesSpec["cpu"]> {
  const nano = limits.NanoCpus ?? 0;
  const quota = nano > 0 ? Math.round((nano * cpuPeriodUs) / 1e9) : limits.CpuQuota;
  const period = nano > 0 ? cpuPeriodUs : limits.CpuPeriod;
  return {
    ...set("shares", limits.CpuShares),
    ...set("quota", quota),
    ...set("period", period),
    ...set("realtimePeriod", limits.CpuRealtimePeriod),
    ...set("realtimeRuntime", limits.CpuRealtimeRuntime),
    ...(limits.CpusetCpus ? { cpus: limits.CpusetCpus } : {}),
    ...(limits.CpusetMems ? { mems: limits.CpusetMems } : {}),
  };
}

function blockIoSpec(limits: Resources, numbers: DeviceNumbers): NonNullable<ResourcesSpec["blockIO"]> {
  const at = (path: string): { readonly major: number; readonly minor: number } =>
    numbers.get(path) ?? { major: 0, minor: 0 };
  const throttle = (
    list: Resources["BlkioDeviceReadBps"],
  ): readonly { readonly major: number; readonly minor: number; readonly rate: number }[] | undefined =>
    list?.length ? list.map(({ Path, Rate }) => ({ ...at(Path), rate: Rate })) : undefined;
  const weights = limits.BlkioWeightDevice?.map(({ Path, Weight }) => ({ ...at(Path), weight: Weight }));
  return {
    ...set("weight", limits.BlkioWeight),
    ...(weights?.length ? { weightDevice: weights } : {}),
    ...some("throttleReadBpsDevice", throttle(limits.BlkioDeviceReadBps)),
    ...some("throttleWriteBpsDevice", throttle(limits.BlkioDeviceWriteBps)),
    ...some("throttleReadIOPSDevice", throttle(limits.BlkioDeviceReadIOps)),
    ...some("throttleWriteIOPSDevice", throttle(limits.BlkioDeviceWriteIOps)),
  };
}

/** 0 and absent mean the same: no limit asked for. */
function set<K extends string>(key: K, value: number | undefined): { readonly [P in K]?: number } {
  return (value === undefined || value === 0 ? {} : { [key]: value }) as { readonly [P in K]?: number };
}
function some<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: V };
}
