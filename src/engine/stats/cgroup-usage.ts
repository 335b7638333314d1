/** What a cgroup has used, read from the kernel's files of either version. The parsers are pure.
 *  Sources: Linux admin-guide/cgroup-v1 (cpuacct, memory, blkio, pids) and cgroup-v2. */
import { readCgroupFile, type CgroupMounts } from "../../host/cgroup.ts";
import { clockTicks } from "../../host/libc.ts";

/** Times in nanoseconds, sizes in bytes. */
export interface CgroupUsage {
  readonly cpu: {
    readonly total: number;
    readonly kernel: number;
    readonly user: number;
    /** Version 1 only. */
    readonly perCpu: readonly number[] | undefined;
    readonly periods: number;
    readonly throttledPeriods: number;
    readonly throttledTime: number;
  };
  readonly memory: {
    readonly usage: number;
    /** Infinity: none. */
    readonly limit: number;
    readonly stats: Readonly<Record<string, number>>;
    /** Version 1 only. */
    readonly maxUsage: number | undefined;
    readonly failures: number | undefined;
  };
  readonly pids: { readonly current: number; readonly limit: number };
  readonly io: readonly BlockIo[];
}
export interface BlockIo {
  readonly major: number;
  readonly minor: number;
  readonly op: string;
  readonly value: number;
}

/** Undefined when the group is gone. */
export function readCgroupUsage(mounts: CgroupMounts, group: string): CgroupUsage | undefined {
  const read = (controller: string, file: string): string | undefined => {
    const mountPoint = mounts.controllers.get(controller);
    return mountPoint === undefined ? undefined : readCgroupFile(mountPoint, group, file);
  };
  const anything = read("memory", "cgroup.procs") ?? read("pids", "cgroup.procs") ?? read("cpu", "cgroup.procs");
  if (anything === undefined) return undefined;
  const pids = { current: number(read("pids", "pids.current")), limit: limitOf(read("pids", "pids.max")) };
  return { ...(mounts.version === 2 ? readV2(read) : readV1(read)), pids };
}

type Read = (controller: string, file: string) => string | undefined;
const nsPerTick = 1e9 / clockTicks;

function readV1(read: Read): Omit<CgroupUsage, "pids"> {
  const times = parsePairs(read("cpuacct", "cpuacct.stat"));
  const throttling = parsePairs(read("cpu", "cpu.stat"));
  return {
    cpu: {
      total: number(read("cpuacct", "cpuacct.usage")),
      kernel: (times["system"] ?? 0) * nsPerTick,
      user: (times["user"] ?? 0) * nsPerTick,
      perCpu: (read("cpuacct", "cpuacct.usage_percpu") ?? "").split(/\s+/).filter(Boolean).map(Number),
      periods: throttling["nr_periods"] ?? 0,
      throttledPeriods: throttling["nr_throttled"] ?? 0,
      throttledTime: throttling["throttled_time"] ?? 0,
    },
    memory: {
      usage: number(read("memory", "memory.usage_in_bytes")),
      limit: limitOf(read("memory", "memory.limit_in_bytes")),
      stats: parsePairs(read("memory", "memory.stat")),
      maxUsage: number(read("memory", "memory.max_usage_in_bytes")),
      failures: number(read("memory", "memory.failcnt")),
    },
    io: parseBlkio(
      read("blkio", "blkio.throttle.io_service_bytes_recursive") ?? read("blkio", "blkio.throttle.io_service_bytes"),
    ),
  };
}

function readV2(read: Read): Omit<CgroupUsage, "pids"> {
  const cpu = parsePairs(read("cpu", "cpu.stat"));
  const ns = (key: string): number => (cpu[key] ?? 0) * 1000;
  return {
    cpu: {
      total: ns("usage_usec"),
      kernel: ns("system_usec"),
      user: ns("user_usec"),
      perCpu: undefined,
      periods: cpu["nr_periods"] ?? 0,
      throttledPeriods: cpu["nr_throttled"] ?? 0,
      throttledTime: ns("throttled_usec"),
    },
    memory: {
      usage: number(read("memory", "memory.current")),
      limit: limitOf(read("memory", "memory.max")),
      stats: parsePairs(read("memory", "memory.stat")),
      maxUsage: undefined,
      failures: undefined,
    },
    io: parseIoStat(read("io", "io.stat")),
  };
}

function number(text: string | undefined): number {
  return Number(text ?? 0) || 0;
}

/** Version 1 says "no limit" with a number near 2^63. */
function limitOf(text: string | undefined): number {
  const value = Number(text);
  return text === undefined || text === "max" || !(value < 2 ** 62) ? Infinity : value;
}

/** `key number` a line. */
export function parsePairs(text: string | undefined): Readonly<Record<string, number>> {
  const pairs = (text ?? "").split("\n").map((line) => line.split(" "));
  return Object.fromEntries(pairs.filter((pair) => pair.length === 2).map(([key = "", value]) => [key, Number(value)]));
}

/** `8:0 Read 4096` a line; the line `Total` has no device. */
export function parseBlkio(text: string | undefined): readonly BlockIo[] {
  return (text ?? "").split("\n").flatMap((line) => {
    const match = /^(\d+):(\d+) (\w+) (\d+)$/.exec(line);
    if (match === null || match[3] === undefined) return [];
    return [{ major: Number(match[1]), minor: Number(match[2]), op: match[3], value: Number(match[4]) }];
  });
}

/** `8:0 rbytes=1 wbytes=2 ...` a line. */
export function parseIoStat(text: string | undefined): readonly BlockIo[] {
  return (text ?? "").split("\n").flatMap((line) => {
    const device = /^(\d+):(\d+) /.exec(line);
    if (device === null) return [];
    const values = new Map(line.split(" ").map((word) => word.split("=") as [string, string]));
    const entry = (op: string, key: string): BlockIo => ({
      major: Number(device[1]),
      minor: Number(device[2]),
      op,
      value: number(values.get(key)),
    });
    return [entry("read", "rbytes"), entry("write", "wbytes")];
  });
}
