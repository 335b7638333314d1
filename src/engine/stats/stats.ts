/** Statistics and processes of containers. */
import { cgroupProcesses, type CgroupMounts } from "../../host/cgroup.ts";
import { TscomposeError } from "../../errors.ts";
import { formatNanoseconds, realtimeNs } from "../../host/clock.ts";
import type { Container } from "../containers/container.ts";
import type { ContainerRegistry } from "../containers/registry.ts";
import type { ContainerService } from "../engine.ts";
import { containerAttributes, type PublishEvent } from "../events.ts";
import { readCgroupUsage } from "./cgroup-usage.ts";
import { dockerStats, emptyStats, type Reading, type StatsSubject } from "./docker-stats.ts";
import { readInterfaces, readSystemCpu } from "./host-counters.ts";
import { listProcesses } from "./process-table.ts";

export interface StatsOptions {
  readonly registry: ContainerRegistry;
  readonly cgroup: CgroupMounts;
  readonly cgroupPathOf: (container: Container) => string;
  readonly memoryBytes: number;
  readonly publish: PublishEvent;
}

const intervalMs = 1000;

export class Stats implements Pick<ContainerService, "stats" | "top"> {
  readonly #options: StatsOptions;

  constructor(options: StatsOptions) {
    this.#options = options;
  }

  /** A stream ends when the container is removed or `signal` fires; while it does not run, its objects are zero. */
  async stats(
    ref: string,
    options: { readonly stream: boolean; readonly oneShot: boolean },
    signal: AbortSignal,
  ): Promise<AsyncIterable<object>> {
    const container = this.#options.registry.resolve(ref);
    return Promise.resolve(
      options.stream ? this.#follow(container, signal) : this.#once(container, options.oneShot, signal),
    );
  }

  /** @throws container/wrong-status, request/invalid */
  async top(
    ref: string,
    psArguments: string,
  ): Promise<{ readonly Titles: readonly string[]; readonly Processes: readonly (readonly string[])[] }> {
    const container = this.#options.registry.resolve(ref);
    if (!container.alive)
      throw new TscomposeError("container/wrong-status", `container ${container.id} is not running`);
    const { cgroup } = this.#options;
    const mountPoint = cgroup.controllers.get("pids") ?? cgroup.mountPoints[0] ?? "";
    const pids = new Set(cgroupProcesses(mountPoint, this.#options.cgroupPathOf(container)));
    const table = await listProcesses(pids, psArguments);
    const attributes = containerAttributes(container.record);
    this.#options.publish({ type: "container", action: "top", id: container.id, attributes });
    return table;
  }

  async *#once(container: Container, oneShot: boolean, signal: AbortSignal): AsyncGenerator<object, void, undefined> {
    const subject = this.#subject(container);
    const first = this.#read(container);
    if (first === undefined || oneShot) {
      yield first === undefined ? emptyStats(subject) : dockerStats(subject, first, undefined);
      return;
    }
    await pause(intervalMs, signal);
    const second = this.#read(container);
    yield second === undefined ? emptyStats(subject) : dockerStats(subject, second, first);
  }

  async *#follow(container: Container, signal: AbortSignal): AsyncGenerator<object, void, undefined> {
    let before: Reading | undefined;
    while (!signal.aborted && !container.removed) {
      const subject = this.#subject(container); // it may be renamed
      const now = this.#read(container);
      yield now === undefined ? emptyStats(subject) : dockerStats(subject, now, before);
      before = now;
      await pause(intervalMs, signal);
    }
  }

  #subject(container: Container): StatsSubject {
    return { id: container.id, name: container.name, memoryBytes: this.#options.memoryBytes };
  }

  #read(container: Container): Reading | undefined {
    const { process } = container.state;
    if (!container.alive || process === undefined) return undefined;
    const usage = readCgroupUsage(this.#options.cgroup, this.#options.cgroupPathOf(container));
    if (usage === undefined) return undefined;
    // With the host's network the interfaces are not the container's.
    const networks = container.record.hostConfig.NetworkMode === "host" ? {} : readInterfaces(process.pid);
    return { time: formatNanoseconds(realtimeNs()), usage, ...readSystemCpu(), networks };
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
