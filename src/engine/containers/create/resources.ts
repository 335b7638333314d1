/** The limits of a request: defaults, ranges, and whether this host can apply them. Pure. Source: Docker's error texts;
 *  cgroups(7); engine-api.md section 10. */
import { TscomposeError } from "../../../errors.ts";
import { slicePath } from "../../runtime/cgroup-driver.ts";
import type { HostProfile } from "../../runtime/host-profile.ts";
import type { HostConfig, Resources } from "../../types.ts";
import { checkRealtime } from "../realtime.ts";

const minimumMemory = 6 * 1024 * 1024;

export function normaliseResources(asked: Resources): Resources {
  const memory = asked.Memory ?? 0;
  return {
    Memory: memory,
    // As much swap again, as Docker has it; -1: without end.
    MemorySwap: (asked.MemorySwap ?? 0) === 0 && memory > 0 ? memory * 2 : (asked.MemorySwap ?? 0),
    MemorySwappiness:
      asked.MemorySwappiness === undefined || asked.MemorySwappiness === -1 ? null : asked.MemorySwappiness,
    PidsLimit: (asked.PidsLimit ?? 0) === 0 ? null : (asked.PidsLimit ?? null),
    OomKillDisable: asked.OomKillDisable ?? false,
  };
}

/** Field -> controller that applies it. */
const controllers: Readonly<Record<string, string>> = {
  Memory: "memory",
  MemorySwap: "memory",
  MemoryReservation: "memory",
  MemorySwappiness: "memory",
  OomKillDisable: "memory",
  CpuShares: "cpu",
  NanoCpus: "cpu",
  CpuPeriod: "cpu",
  CpuQuota: "cpu",
  CpuRealtimePeriod: "cpu",
  CpuRealtimeRuntime: "cpu",
  CpusetCpus: "cpuset",
  CpusetMems: "cpuset",
  PidsLimit: "pids",
  BlkioWeight: "blkio",
  BlkioWeightDevice: "blkio",
  BlkioDeviceReadBps: "blkio",
  BlkioDeviceWriteBps: "blkio",
  BlkioDeviceReadIOps: "blkio",
  BlkioDeviceWriteIOps: "blkio",
};

/** Version 2 has no way to say these. */
const onlyVersion1: readonly string[] = [
  "MemorySwappiness",
  "OomKillDisable",
  "CpuRealtimePeriod",
  "CpuRealtimeRuntime",
];

/** @returns Docker's warnings. @throws request/invalid, host/unsupported naming the controller */
export function checkResources(
  config: Resources & Pick<HostConfig, "Privileged">,
  host: HostProfile,
): readonly string[] {
  checkNumbers(config);
  checkMemory(config);
  checkCpu(config, host);
  checkRealtime(config);
  checkBlockIo(config);
  checkControllers(config, host);
  if (config.CgroupParent && !/^[a-zA-Z0-9/_.@:-]+$/.test(config.CgroupParent)) {
    throw invalid(`invalid cgroup parent: ${config.CgroupParent}`);
  }
  if (config.CgroupParent && host.cgroupDriver === "systemd") slicePath(config.CgroupParent);
  const warnings: string[] = [];
  if (config.OomKillDisable === true && (config.Memory ?? 0) === 0) {
    warnings.push(
      "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.",
    );
  }
  return warnings;
}

function checkNumbers(config: Resources): void {
  for (const [key, value] of Object.entries(config)) {
    if (typeof value === "number" && key in controllers && !Number.isSafeInteger(value)) {
      throw invalid(`${key} must be an integer below 2^53: ${value}`);
    }
  }
}

function checkMemory(config: Resources): void {
  const memory = config.Memory ?? 0;
  const swap = config.MemorySwap ?? 0;
  const reservation = config.MemoryReservation ?? 0;
  if (memory < 0 || (memory > 0 && memory < minimumMemory)) throw invalid("Minimum memory limit allowed is 6MB");
  if (memory > 0 && swap > 0 && swap < memory) {
    throw invalid("Minimum memoryswap limit should be larger than memory limit, see usage");
  }
  if (memory === 0 && swap > 0)
    throw invalid("You should always set the Memory limit when using Memoryswap limit, see usage");
  if (reservation < 0 || (reservation > 0 && reservation < minimumMemory)) {
    throw invalid("Minimum memory reservation allowed is 6MB");
  }
  if (memory > 0 && reservation > memory) {
    throw invalid("Minimum memory limit can not be less than memory reservation limit, see usage");
  }
  const swappiness = config.MemorySwappiness;
  if (typeof swappiness === "number" && (swappiness < -1 || swappiness > 100)) {
    throw invalid(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  }
}

const minimumQuotaUs = 1000;

function checkCpu(config: Resources, host: HostProfile): void {
  const nano = config.NanoCpus ?? 0;
  const period = config.CpuPeriod ?? 0;
  const quota = config.CpuQuota ?? 0;
  if (nano > 0 && period > 0) throw invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set");
  if (nano > 0 && quota > 0) throw invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
  if (nano < 0 || nano > host.cpuCount * 1e9) {
    const most = `${host.cpuCount}.00`;
    throw invalid(`range of CPUs is from 0.01 to ${most}, as there are only ${host.cpuCount} CPUs available`);
  }
  if (nano > 0 && nano < 1e7) throw invalid(`range of CPUs is from 0.01 to ${host.cpuCount}.00`);
  if (period !== 0 && (period < 1000 || period > 1_000_000)) {
    throw invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
  }
  if (quota > 0 && quota < minimumQuotaUs) throw invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)");
  if ((config.CpuShares ?? 0) < 0)
    throw invalid(`invalid CPU shares (${config.CpuShares}): value must be a positive integer`);
  for (const set of [config.CpusetCpus, config.CpusetMems]) {
    if (set && !/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(set)) throw invalid(`Invalid value ${set} for cpuset`);
  }
  const last = Math.max(...(config.CpusetCpus?.match(/\d+/g) ?? []).map(Number), 0);
  if (config.CpusetCpus && last >= host.cpuCount) {
    throw invalid(
      `Requested CPUs are not available - requested ${config.CpusetCpus}, available: 0-${host.cpuCount - 1}`,
    );
  }
}

function checkBlockIo(config: Resources): void {
  const weights = [config.BlkioWeight ?? 0, ...(config.BlkioWeightDevice ?? []).map(({ Weight }) => Weight)];
  for (const weight of weights) {
    if (!Number.isSafeInteger(weight) || (weight !== 0 && (weight < 10 || weight > 1000))) {
      throw invalid("Range of blkio weight is from 10 to 1000");
    }
  }
  const rates = [
    ...(config.BlkioDeviceReadBps ?? []),
    ...(config.BlkioDeviceWriteBps ?? []),
    ...(config.BlkioDeviceReadIOps ?? []),
    ...(config.BlkioDeviceWriteIOps ?? []),
  ];
  for (const { Path, Rate } of rates) {
    if (!Number.isSafeInteger(Rate) || Rate < 0) throw invalid(`invalid rate for device ${Path}: ${Rate}`);
  }
}

/** Clients send zeros for what they do not want. */
function isSet(value: unknown): boolean {
  return !(
    value === undefined ||
    value === null ||
    value === 0 ||
    value === "" ||
    value === false ||
    (Array.isArray(value) && value.length === 0)
  );
}

function checkControllers(config: Resources, host: HostProfile): void {
  const available = (controller: string): boolean =>
    host.cgroup.controllers.has(controller === "blkio" && host.cgroup.version === 2 ? "io" : controller);
  for (const [field, controller] of Object.entries(controllers)) {
    if (!isSet(config[field as keyof Resources])) continue;
    const unsuited = host.cgroup.version === 2 && onlyVersion1.includes(field);
    const lacking = field.startsWith("CpuRealtime") && !host.realtimeGroups;
    if (!unsuited && !lacking && available(controller)) continue;
    const missing = lacking ? "has no real-time groups in this kernel (CONFIG_RT_GROUP_SCHED)" : "is not available";
    const why = unsuited ? "cgroup version 2 has no such limit" : `the cgroup controller ${controller} ${missing}`;
    throw new TscomposeError("host/unsupported", `HostConfig.${field} cannot be applied: ${why}`, {
      hint:
        unsuited || lacking
          ? `leave ${field} out`
          : `enable the controller ${controller} (\`tscompose doctor\` shows them), or leave ${field} out`,
      details: { field, controller },
    });
  }
}

function invalid(message: string): TscomposeError {
  return new TscomposeError("request/invalid", message);
}
