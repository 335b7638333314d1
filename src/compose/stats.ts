import type { Readable } from "node:stream";

import { readJsonLines } from "../client/docker.ts";
import { observeContainers } from "../planner/observe.ts";
import type { ObservedContainer } from "../planner/observed.ts";

import type { ComposeContext, ProjectReference } from "./context.ts";
import { checkServices, serviceContainers } from "./select.ts";

export interface StatsRow {
  readonly id: string;
  readonly name: string;
  /** Per cent of one cpu. */
  readonly cpuPercent: number;
  readonly memoryBytes: number;
  readonly memoryLimitBytes: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly pids: number;
}

/** The containers whose use `stats` shows. */
export async function statsTargets(
  context: ComposeContext,
  reference: ProjectReference,
  { services, all }: { readonly services: readonly string[]; readonly all: boolean },
): Promise<readonly ObservedContainer[]> {
  const containers = await observeContainers(context.docker, reference.name, context.signal);
  checkServices(reference, containers, services);
  return serviceContainers(containers, services).filter(({ state }) => all || state === "running");
}

/** One sample, over about a second. */
export async function sample({ docker, signal }: ComposeContext, { id, name }: ObservedContainer): Promise<StatsRow> {
  return toRow({ id, name }, (await docker.getContainer(id).stats({ stream: false, abortSignal: signal })) as RawStats);
}

/** One sample a second. */
export async function* samples(
  { docker, signal }: ComposeContext,
  { id, name }: ObservedContainer,
): AsyncGenerator<StatsRow, void, void> {
  const stream: Readable = await docker.getContainer(id).stats({ stream: true, abortSignal: signal });
  for await (const raw of readJsonLines<RawStats>(stream, signal)) yield toRow({ id, name }, raw);
}

interface RawCpu {
  readonly cpu_usage?: { readonly total_usage?: number };
  readonly system_cpu_usage?: number;
  readonly online_cpus?: number;
}

interface RawStats {
  readonly cpu_stats?: RawCpu;
  readonly precpu_stats?: RawCpu;
  readonly memory_stats?: {
    readonly usage?: number;
    readonly limit?: number;
    readonly stats?: Readonly<Record<string, number>>;
  };
  readonly pids_stats?: { readonly current?: number };
  readonly networks?: Readonly<Record<string, { readonly rx_bytes: number; readonly tx_bytes: number }>>;
  readonly blkio_stats?: {
    readonly io_service_bytes_recursive?: readonly { readonly op: string; readonly value: number }[] | null;
  };
}

/** Source: engine-api.md section 6.3, the formulas of the docker CLI. */
function toRow(container: { readonly id: string; readonly name: string }, raw: RawStats): StatsRow {
  const { cpu_stats: cpu, precpu_stats: before, memory_stats: memory } = raw;
  const used = (cpu?.cpu_usage?.total_usage ?? 0) - (before?.cpu_usage?.total_usage ?? 0);
  const elapsed = (cpu?.system_cpu_usage ?? 0) - (before?.system_cpu_usage ?? 0);
  const cache = memory?.stats?.["total_inactive_file"] ?? memory?.stats?.["inactive_file"] ?? 0;
  const networks = Object.values(raw.networks ?? {});
  const io = raw.blkio_stats?.io_service_bytes_recursive ?? [];
  const moved = (operation: string): number =>
    io.filter(({ op }) => op.toLowerCase() === operation).reduce((sum, { value }) => sum + value, 0);
  return {
    ...container,
    cpuPercent: used > 0 && elapsed > 0 ? (used / elapsed) * (cpu?.online_cpus ?? 1) * 100 : 0,
    memoryBytes: Math.max(0, (memory?.usage ?? 0) - cache),
    memoryLimitBytes: memory?.limit ?? 0,
    receivedBytes: networks.reduce((sum, { rx_bytes: bytes }) => sum + bytes, 0),
    sentBytes: networks.reduce((sum, { tx_bytes: bytes }) => sum + bytes, 0),
    readBytes: moved("read"),
    writtenBytes: moved("write"),
    pids: raw.pids_stats?.current ?? 0,
  };
}
