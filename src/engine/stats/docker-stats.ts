/** Readings -> Docker's stats object. Pure. Source: engine-api.md 6.3; Docker Engine API /containers/{id}/stats. */
import type { BlockIo, CgroupUsage } from "./cgroup-usage.ts";

export interface Reading {
  /** RFC 3339 with nanoseconds. */
  readonly time: string;
  readonly usage: CgroupUsage;
  /** Of the whole machine, in nanoseconds since boot. */
  readonly systemCpu: number;
  readonly onlineCpus: number;
  /** Interface in the container -> counters; empty without a network of its own. */
  readonly networks: Readonly<Record<string, InterfaceCounters>>;
}
export interface InterfaceCounters {
  readonly rx_bytes: number;
  readonly rx_packets: number;
  readonly rx_errors: number;
  readonly rx_dropped: number;
  readonly tx_bytes: number;
  readonly tx_packets: number;
  readonly tx_errors: number;
  readonly tx_dropped: number;
}
export interface StatsSubject {
  readonly id: string;
  /** Without a slash. */
  readonly name: string;
  /** Of the machine: what a container without a limit could have. */
  readonly memoryBytes: number;
}

const never = "0001-01-01T00:00:00Z";

/** `before` undefined: the first of a stream. */
export function dockerStats(subject: StatsSubject, now: Reading, before: Reading | undefined): object {
  const { usage } = now;
  const networks = Object.keys(now.networks).length === 0 ? {} : { networks: now.networks };
  return {
    read: now.time,
    preread: before?.time ?? never,
    pids_stats: {
      current: usage.pids.current,
      ...(Number.isFinite(usage.pids.limit) ? { limit: usage.pids.limit } : {}),
    },
    blkio_stats: blockStats(usage.io),
    num_procs: 0,
    storage_stats: {},
    cpu_stats: cpuStats(now),
    precpu_stats: before === undefined ? idleCpu : cpuStats(before),
    memory_stats: memoryStats(usage, subject.memoryBytes),
    name: `/${subject.name}`,
    id: subject.id,
    ...networks,
  };
}

/** Of a container that does not run. */
export function emptyStats(subject: StatsSubject): object {
  return {
    read: never,
    preread: never,
    pids_stats: {},
    blkio_stats: blockStats(null),
    num_procs: 0,
    storage_stats: {},
    cpu_stats: idleCpu,
    precpu_stats: idleCpu,
    memory_stats: {},
    name: `/${subject.name}`,
    id: subject.id,
  };
}

const idleCpu = {
  cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
  throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
};

function cpuStats({ usage: { cpu }, systemCpu, onlineCpus }: Reading): object {
  return {
    cpu_usage: {
      total_usage: cpu.total,
      ...(cpu.perCpu === undefined ? {} : { percpu_usage: cpu.perCpu }),
      usage_in_kernelmode: cpu.kernel,
      usage_in_usermode: cpu.user,
    },
    system_cpu_usage: systemCpu,
    online_cpus: onlineCpus,
    throttling_data: {
      periods: cpu.periods,
      throttled_periods: cpu.throttledPeriods,
      throttled_time: cpu.throttledTime,
    },
  };
}

function memoryStats({ memory }: CgroupUsage, memoryBytes: number): object {
  return {
    usage: memory.usage,
    ...(memory.maxUsage === undefined ? {} : { max_usage: memory.maxUsage }),
    stats: memory.stats,
    ...(memory.failures === undefined ? {} : { failcnt: memory.failures }),
    limit: Math.min(memory.limit, memoryBytes),
  };
}

/** Only bytes are counted by every kernel; the other lists are there for clients that expect them. */
function blockStats(io: readonly BlockIo[] | null): object {
  const empty = io === null ? null : [];
  return {
    io_service_bytes_recursive: io,
    io_serviced_recursive: empty,
    io_queue_recursive: empty,
    io_service_time_recursive: empty,
    io_wait_time_recursive: empty,
    io_merged_recursive: empty,
    io_time_recursive: empty,
    sectors_recursive: empty,
  };
}
