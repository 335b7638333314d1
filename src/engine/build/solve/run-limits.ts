/** What RUN is held to, as a container's settings. Pure. */
import type { HostConfig } from "../../types.ts";
import type { BuildRequest } from "../types.ts";

export function limitsOf(request: BuildRequest): HostConfig {
  const { limits, extraHosts } = request;
  return {
    ...(extraHosts.length === 0 ? {} : { ExtraHosts: extraHosts }),
    ...(limits.shmSize === undefined ? {} : { ShmSize: limits.shmSize }),
    ...(limits.memory === undefined ? {} : { Memory: limits.memory }),
    ...(limits.memorySwap === undefined ? {} : { MemorySwap: limits.memorySwap }),
    ...(limits.cpuShares === undefined ? {} : { CpuShares: limits.cpuShares }),
    ...(limits.cpuPeriod === undefined ? {} : { CpuPeriod: limits.cpuPeriod }),
    ...(limits.cpuQuota === undefined ? {} : { CpuQuota: limits.cpuQuota }),
    ...(limits.cpusetCpus === undefined ? {} : { CpusetCpus: limits.cpusetCpus }),
    ...(limits.cpusetMems === undefined ? {} : { CpusetMems: limits.cpusetMems }),
    ...(limits.ulimits === undefined ? {} : { Ulimits: limits.ulimits }),
    ...(limits.cgroupParent === undefined ? {} : { CgroupParent: limits.cgroupParent }),
  };
}
