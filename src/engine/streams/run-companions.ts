/** What accompanies a container while it runs: its log is kept within bounds, its health is probed, its clients get its output.
 *  Follows the container's state; the verbs that change it need not know. */
import { lowerMonitorPriority } from "../../host/monitor.ts";
import { isAlive as isProcessAlive } from "../../host/process-identity.ts";
import type { Container } from "../containers/container.ts";
import type { OomWatch } from "../containers/oom-watch.ts";
import type { RecordedState } from "../containers/record.ts";
import type { HealthMonitors } from "../health/health-monitors.ts";
import type { Attachments } from "./attachments.ts";
import { planLog } from "./log-config.ts";
import type { LogKeeper } from "./log-keeper.ts";

export interface RunCompanionsOptions {
  readonly attachments: Attachments;
  readonly health: HealthMonitors;
  readonly logs: LogKeeper;
  /** Undefined: groups stay until the engine takes them away. */
  readonly oom?: OomWatch | undefined;
}

export class RunCompanions {
  readonly #options: RunCompanionsOptions;

  constructor(options: RunCompanionsOptions) {
    this.#options = options;
  }

  /** Call once for each container of the engine: when it is created, and for those of an earlier engine when their state is known. */
  accompany(container: Container): void {
    container.beforeRelease.add(() => Promise.resolve(this.#options.attachments.connectPending(container)));
    container.onUpdate((state, before) => this.#follow(container, state, before));
    container.onRemoved(() => this.#options.attachments.ended(container));
    if (!container.alive) return;
    this.#keepLog(container);
    this.#options.oom?.watch(container);
    if (container.state.status === "running") this.#options.health.start(container, "continued");
  }

  /** Containers go on. */
  close(): void {
    this.#options.health.close();
    this.#options.logs.close();
    this.#options.oom?.close();
    this.#options.attachments.close();
  }

  #follow(container: Container, state: RecordedState, before: RecordedState): void {
    const { attachments, health, logs, oom } = this.#options;
    const [lived, lives] = [isAlive(before), isAlive(state)];
    if (!lives && (lived || state.error !== "")) attachments.ended(container);
    if (state.status === before.status) return;
    if (!lived && lives) {
      this.#keepLog(container);
      oom?.watch(container);
      health.start(container, "fresh");
    } else if (lives && state.status === "paused") health.suspend(container.id);
    else if (lives) health.start(container, "continued");
    else if (lived) {
      logs.unwatch(container.id);
      oom?.unwatch(container.id);
      health.stop(container);
    }
  }

  #keepLog(container: Container): void {
    const { bounds } = planLog(container.record.hostConfig.LogConfig);
    if (bounds.maxBytes === undefined) return;
    // That of a container which writes little keeps its priority: it is what tells that the container has ended.
    this.#options.logs.watch(container.id, container.paths.log, bounds, () => {
      const { monitor } = container.state;
      if (monitor !== undefined && isProcessAlive(monitor)) lowerMonitorPriority(monitor.pid);
    });
  }
}

const isAlive = ({ status }: RecordedState): boolean => status === "running" || status === "paused";
