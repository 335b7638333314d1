import type { DeviceRequest, Resources, Ulimit } from "../../api/wire.ts";
import type { BlkioConfig, DeviceRequest as SpecDeviceRequest, Service } from "../../spec/model.ts";

import { count, defined, nonEmpty } from "./quantities.ts";

/** Memory, cpus, pids, devices, block io, ulimits. `deploy.resources` wins over the older keys, as in Docker Compose. */
export function resources(spec: Service): Resources {
  const limits = spec.deploy?.resources.limits;
  const reservations = spec.deploy?.resources.reservations;
  const cpus = limits?.cpus ?? spec.cpus;
  return defined<Resources>({
    CpuShares: spec.cpu_shares,
    Memory: count(limits?.memory) ?? count(spec.mem_limit),
    MemoryReservation: count(reservations?.memory) ?? count(spec.mem_reservation),
    MemorySwap: count(spec.memswap_limit),
    MemorySwappiness: count(spec.mem_swappiness),
    NanoCpus: cpus === undefined ? undefined : Math.round(cpus * 1e9),
    CgroupParent: spec.cgroup_parent,
    CpuPeriod: spec.cpu_period,
    CpuQuota: spec.cpu_quota,
    CpuRealtimePeriod: spec.cpu_rt_period,
    CpuRealtimeRuntime: spec.cpu_rt_runtime,
    CpusetCpus: spec.cpuset,
    CpuCount: spec.cpu_count,
    CpuPercent: spec.cpu_percent === undefined ? undefined : Math.round(spec.cpu_percent * 100),
    OomKillDisable: spec.oom_kill_disable,
    PidsLimit: limits?.pids ?? spec.pids_limit,
    Ulimits: nonEmpty(ulimits(spec)),
    Devices: nonEmpty(devices(spec)),
    DeviceCgroupRules: nonEmpty(spec.device_cgroup_rules),
    DeviceRequests: nonEmpty(deviceRequests(spec)),
    ...blkio(spec.blkio_config),
  } as Resources);
}

function ulimits(spec: Service): readonly Ulimit[] {
  return Object.entries(spec.ulimits ?? {})
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, limit]) =>
      typeof limit === "number"
        ? { Name: name, Soft: limit, Hard: limit }
        : { Name: name, Soft: limit.soft ?? 0, Hard: limit.hard ?? 0 },
    );
}

/** `vendor.com/class=name`: a device of the Container Device Interface, which the engine resolves. */
function isCdiName(name: string | undefined): boolean {
  return name !== undefined && /^[A-Za-z][\w.-]*\/[A-Za-z][\w.-]*=[\w.:-]+$/.test(name);
}

function devices(spec: Service): NonNullable<Resources["Devices"]> {
  return (spec.devices ?? [])
    .filter(({ source, target }) => !(source === target && isCdiName(source)))
    .map(({ source = "", target = source, permissions = "rwm" }) => ({
      PathOnHost: source,
      PathInContainer: target,
      CgroupPermissions: permissions,
    }));
}

function deviceRequests(spec: Service): readonly DeviceRequest[] {
  const cdi = (spec.devices ?? [])
    .filter(({ source, target }) => source === target && isCdiName(source))
    .map(({ source = "" }) => source);
  return [
    ...(cdi.length === 0 ? [] : [{ Driver: "cdi", DeviceIDs: cdi }]),
    ...(spec.gpus ?? []).map((request) => deviceRequest(request, ["gpu"])),
    ...(spec.deploy?.resources.reservations?.devices ?? []).map((request) => deviceRequest(request, [])),
  ];
}

function deviceRequest(request: SpecDeviceRequest, also: readonly string[]): DeviceRequest {
  return defined<DeviceRequest>({
    Driver: request.driver,
    Count: request.count,
    DeviceIDs: nonEmpty(request.device_ids),
    Capabilities: [[...new Set([...(request.capabilities ?? []), ...also])]],
    Options: request.options,
  } as DeviceRequest);
}

function blkio(config: BlkioConfig | undefined): Partial<Resources> {
  if (config === undefined) return {};
  const rates = (
    list: readonly { readonly Path: string; readonly Rate: string }[] | undefined,
  ): readonly { readonly Path: string; readonly Rate: number }[] | undefined =>
    list?.map(({ Path, Rate }) => ({ Path, Rate: Number(Rate) }));
  return defined<Partial<Resources>>({
    BlkioWeight: config.weight,
    BlkioWeightDevice: config.weight_device,
    BlkioDeviceReadBps: rates(config.device_read_bps),
    BlkioDeviceReadIOps: rates(config.device_read_iops),
    BlkioDeviceWriteBps: rates(config.device_write_bps),
    BlkioDeviceWriteIOps: rates(config.device_write_iops),
  } as Partial<Resources>);
}
