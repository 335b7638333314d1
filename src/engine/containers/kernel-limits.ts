/** The limits of a container as the kernel has them, for `inspect`. A limit that reads back as what was asked for is shown in the
 *  words of the request: the kernel knows quotas, weights and pages, not cpus, shares and bytes.
 *  Source: Linux admin-guide/cgroup-v1 and cgroup-v2; runc's conversion of shares to weights. */
import { readCgroupFile, type CgroupMounts } from "../../host/cgroup.ts";
import { readThrottles, throttleFields } from "./block-throttle.ts";
import { ioWeightOf } from "./cgroup-place.ts";
import { pidsLimit } from "../runtime/resources.ts";
import type { HostConfig } from "../types.ts";

type Mutable = { -readonly [K in keyof HostConfig]: HostConfig[K] };
/** A file's text; undefined: the kernel has none. */
type Read = (controller: string, file: string) => string | undefined;

/** `hostConfig` with the values of the group that differ from it. */
export function withKernelLimits(hostConfig: HostConfig, mounts: CgroupMounts, group: string): HostConfig {
  const read: Read = (controller, file) => {
    const mountPoint = mounts.controllers.get(controller);
    return mountPoint === undefined ? undefined : readCgroupFile(mountPoint, group, file);
  };
  const second = mounts.version === 2;
  const result: Mutable = { ...hostConfig };
  const set = <K extends keyof HostConfig>(key: K, kernel: HostConfig[K] | undefined, asked: unknown): void => {
    if (kernel !== undefined && kernel !== asked) result[key] = kernel;
  };

  const memory = sizeOf(read("memory", second ? "memory.max" : "memory.limit_in_bytes"));
  set("Memory", memory, wholePages(hostConfig.Memory ?? 0));
  const reservation = sizeOf(read("memory", second ? "memory.low" : "memory.soft_limit_in_bytes"));
  set("MemoryReservation", reservation, wholePages(hostConfig.MemoryReservation ?? 0));
  const swap = second
    ? memoryAndSwap(memory, read("memory", "memory.swap.max"))
    : sizeOf(read("memory", "memory.memsw.limit_in_bytes"));
  set("MemorySwap", swap, Math.max(0, wholePages(hostConfig.MemorySwap ?? 0)));
  const pids = limitOf(read("pids", "pids.max"));
  set("PidsLimit", pids, pidsLimit(hostConfig));
  readCpu(read, second, { hostConfig, result });
  for (const [key, file] of [
    ["CpusetCpus", "cpuset.cpus"],
    ["CpusetMems", "cpuset.mems"],
  ] as const) {
    if (hostConfig[key]) set(key, read("cpuset", file) || undefined, hostConfig[key]);
  }
  for (const field of throttleFields) {
    const asked = hostConfig[field] ?? [];
    const kernel = asked.length === 0 ? undefined : readThrottles({ mounts, group }, field, asked);
    if (kernel !== undefined && JSON.stringify(kernel) !== JSON.stringify(asked)) result[field] = kernel;
  }
  if (hostConfig.BlkioWeight) readWeight(read, second, { hostConfig, result });
  return result;
}

/** Docker's limit of swap includes the memory; version 2 counts swap alone. 0: none. */
function memoryAndSwap(memory: number | undefined, swap: string | undefined): number | undefined {
  if (memory === undefined || swap === undefined) return undefined;
  return swap === "max" || memory === 0 ? 0 : memory + Number(swap);
}

function readWeight(
  read: Read,
  second: boolean,
  { hostConfig, result }: { readonly hostConfig: HostConfig; readonly result: Mutable },
): void {
  const asked = hostConfig.BlkioWeight ?? 0;
  const text = second ? read("io", "io.weight") : (read("blkio", "blkio.bfq.weight") ?? read("blkio", "blkio.weight"));
  const weight = Number(/^(?:default )?(\d+)/.exec(text ?? "")?.[1]);
  if (!Number.isFinite(weight) || weight === (second ? ioWeightOf(asked) : asked)) return;
  result.BlkioWeight = second ? 10 + Math.ceil(((weight - 1) * 990) / 9999) : weight;
}

function readCpu(
  read: Read,
  second: boolean,
  { hostConfig, result }: { readonly hostConfig: HostConfig; readonly result: Mutable },
): void {
  const [first = "", next = ""] = second
    ? (read("cpu", "cpu.max") ?? "").split(" ")
    : [read("cpu", "cpu.cfs_quota_us") ?? "", read("cpu", "cpu.cfs_period_us") ?? ""];
  const quota = limitOf(first === "" ? undefined : first);
  const period = Number(next);
  if (quota !== undefined && period > 0) {
    const nano = hostConfig.NanoCpus ?? 0;
    if (nano > 0) {
      if (Math.round((nano * period) / 1e9) !== quota)
        result.NanoCpus = quota < 0 ? 0 : Math.round((quota * 1e9) / period);
    } else {
      const asked = hostConfig.CpuQuota ?? 0;
      if (quota !== (asked > 0 ? asked : -1)) result.CpuQuota = quota < 0 ? 0 : quota;
      const askedPeriod = hostConfig.CpuPeriod ?? 0;
      if (period !== (askedPeriod || defaultPeriodUs)) result.CpuPeriod = period;
    }
  }
  const shares = hostConfig.CpuShares ?? 0;
  const weight = Number(read("cpu", second ? "cpu.weight" : "cpu.shares"));
  if (!Number.isFinite(weight)) return;
  const expected = second ? (shares === 0 ? 100 : weightOfShares(shares)) : shares === 0 ? 1024 : Math.max(2, shares);
  if (weight !== expected) result.CpuShares = second ? sharesOfWeight(weight) : weight;
}

const defaultPeriodUs = 100_000;
const pageBytes = 4096;
/** The kernel counts in pages. */
const wholePages = (bytes: number): number => (bytes > 0 ? Math.floor(bytes / pageBytes) * pageBytes : bytes);

/** Of version 2. */
export const weightOfShares = (shares: number): number => 1 + Math.floor(((shares - 2) * 9999) / 262_142);
const sharesOfWeight = (weight: number): number => 2 + Math.ceil(((weight - 1) * 262_142) / 9999);

/** -1: none. */
function limitOf(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  return text === "max" ? -1 : Number(text);
}

/** 0: none. Version 1 says so with a number near 2^63. */
function sizeOf(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  const size = text === "max" ? Infinity : Number(text);
  return size > Number.MAX_SAFE_INTEGER - pageBytes ? 0 : size;
}
