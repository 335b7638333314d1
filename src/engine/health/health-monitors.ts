/** Probes the containers that have a health check, while they run. Results go into their records, to the events and to the
 *  network's name service. */
import type { Container } from "../containers/container.ts";
import { containerAttributes, type PublishEvent } from "../events.ts";
import type { RunningExec } from "../streams/exec-run.ts";
import type { ExecConfig, HealthState } from "../types.ts";
import { afterProbe, nextProbe, planHealth, type HealthPlan, type ProbeHistory } from "./health-plan.ts";
import { runProbe } from "./probe.ts";

export interface HealthOptions {
  /** Runs a command in a container. `quiet`: without events. */
  readonly exec: (container: Container, config: ExecConfig, quiet: boolean) => Promise<RunningExec>;
  readonly setHealthy: (containerId: string, healthy: boolean) => void;
  readonly publish: PublishEvent;
  /** False: probe on Docker's schedule only. */
  readonly eager: boolean;
}

/** Eager probes of all containers that may run at once: they must not slow down what they wait for. */
const maxEagerProbes = 4;

interface Monitor {
  readonly container: Container;
  readonly plan: HealthPlan;
  history: ProbeHistory;
  timer: NodeJS.Timeout | undefined;
  stopped: boolean;
}

export class HealthMonitors {
  readonly #options: HealthOptions;
  readonly #monitors = new Map<string, Monitor>();
  #eagerProbes = 0;

  constructor(options: HealthOptions) {
    this.#options = options;
  }

  /** The container has just started ("fresh"), or it ran already: after a pause, or before this engine did. Nothing for one without
   *  a check. */
  start(container: Container, how: "fresh" | "continued"): void {
    this.#forget(container.id);
    const plan = planHealth(container.record.config, this.#options.eager);
    if (plan === undefined) {
      if (container.state.health !== undefined) container.update({ health: undefined });
      return;
    }
    const now = performance.now();
    const age = how === "fresh" ? 0 : Math.max(0, Date.now() - Date.parse(container.state.startedAt));
    const history = {
      startedMs: now - age,
      countedMs: how === "fresh" ? undefined : now,
      lastMs: undefined,
      eagerProbes: 0,
    };
    const monitor: Monitor = { container, plan, history, timer: undefined, stopped: false };
    this.#monitors.set(container.id, monitor);
    if (how === "fresh" || container.state.health === undefined) container.update({ health: initial });
    this.#schedule(monitor);
  }

  /** The container is paused: its health stays what it was. Idempotent. */
  suspend(containerId: string): void {
    this.#forget(containerId);
  }

  /** The container has ended, and with it its health. Idempotent. */
  stop(container: Container): void {
    this.#forget(container.id);
    const { health } = container.state;
    if (health !== undefined && health.Status !== "unhealthy") {
      container.update({ health: { ...health, Status: "unhealthy" } });
    }
  }

  close(): void {
    for (const id of this.#monitors.keys()) this.#forget(id);
  }

  #forget(id: string): void {
    const monitor = this.#monitors.get(id);
    if (monitor === undefined) return;
    monitor.stopped = true;
    clearTimeout(monitor.timer);
    this.#monitors.delete(id);
  }

  #schedule(monitor: Monitor): void {
    if (monitor.stopped) return;
    const { atMs, counted } = nextProbe(monitor.plan, healthOf(monitor), monitor.history);
    const run = (): void => {
      if (!counted && this.#eagerProbes >= maxEagerProbes) monitor.timer = setTimeout(run, eagerQueueMs);
      else void this.#probe(monitor, counted);
    };
    monitor.timer = setTimeout(run, Math.max(0, Math.min(atMs - performance.now(), maxTimerMs)));
  }

  async #probe(monitor: Monitor, counted: boolean): Promise<void> {
    const { container, plan } = monitor;
    const sinceStartMs = performance.now() - monitor.history.startedMs;
    if (!counted) this.#eagerProbes++;
    const config = { Cmd: plan.argv, AttachStdout: true, AttachStderr: true };
    const entry = await runProbe(() => this.#options.exec(container, config, !counted), plan.timeoutMs);
    if (!counted) this.#eagerProbes--;
    if (monitor.stopped) return;
    const now = performance.now();
    const { history } = monitor;
    monitor.history = {
      startedMs: history.startedMs,
      countedMs: counted || entry.ExitCode === 0 ? now : history.countedMs,
      lastMs: now,
      eagerProbes: history.eagerProbes + (counted ? 0 : 1),
    };
    this.#apply(monitor, afterProbe(plan, healthOf(monitor), { entry, sinceStartMs, counted }));
    this.#schedule(monitor);
  }

  #apply({ container }: Monitor, health: HealthState): void {
    const before = container.state.health;
    if (health === before) return;
    container.update({ health });
    if (health.Status === before?.Status) return;
    this.#options.setHealthy(container.id, health.Status !== "unhealthy");
    this.#options.publish({
      type: "container",
      action: `health_status: ${health.Status}`,
      id: container.id,
      attributes: containerAttributes(container.record),
    });
  }
}

const initial: HealthState = { Status: "starting", FailingStreak: 0, Log: [] };
const eagerQueueMs = 20;
const maxTimerMs = 2 ** 31 - 1;

const healthOf = ({ container }: Monitor): HealthState => container.state.health ?? initial;
