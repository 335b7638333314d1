/** The verbs that move a container from state to state, one at a time for each. Owns the timers of restart policies. */
import { errorMessage, TscomposeError } from "../../errors.ts";
import { freezeCgroup, isFrozen } from "../../host/cgroup.ts";
import { syscallErrno } from "../../host/libc.ts";
import { containerAttributes, type EngineEvent } from "../events.ts";
import type { Launched } from "../runtime/launch.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";
import { recordEnd, waitForEnd } from "./end.ts";
import { checkRemovable, removeContainer } from "./remove.ts";
import type { RestartDecision } from "./restart-policy.ts";
import { readEnd, type RunEnd } from "./runs.ts";
import { cgroupPathOf } from "./cgroup-place.ts";
import { startContainer } from "./start.ts";
import type { ContainerStatus } from "../types.ts";
import { endProcess, killContainer, type StopOptions } from "./stop.ts";

type ContainerAction = Extract<EngineEvent, { readonly type: "container" }>["action"];

export class Lifecycle {
  readonly #ctx: ContainerContext;
  /** Waiting for its back-off to pass. */
  readonly #timers = new Map<string, NodeJS.Timeout>();
  /** Delay before the present run; absent: it was asked for. */
  readonly #delays = new Map<string, number>();
  #closed = false;

  constructor(ctx: ContainerContext) {
    this.#ctx = ctx;
  }

  /** @throws container/not-modified when it runs already */
  async start(container: Container): Promise<void> {
    await container.exclusively(async () => {
      this.#checkStartable(container);
      this.#cancelRestart(container);
      this.#delays.delete(container.id);
      container.update({ restartCount: 0, stoppedByUser: false });
      await this.#start(container);
    });
  }

  /** @returns why it had no grace period, when it had none. @throws container/not-modified when it does not run */
  async stop(container: Container, options: StopOptions): Promise<string | undefined> {
    return container.exclusively(async () => {
      if (container.state.status === "restarting") {
        this.#giveUpRestart(container);
        return undefined;
      }
      if (!container.alive) {
        throw new TscomposeError("container/not-modified", `container ${container.name} is already stopped`);
      }
      const note = await endProcess(this.#ctx, container, options);
      this.#publish(container, "stop");
      return note;
    });
  }

  async restart(container: Container, options: StopOptions): Promise<string | undefined> {
    return container.exclusively(async () => {
      this.#cancelRestart(container);
      let note: string | undefined;
      if (container.alive) {
        note = await endProcess(this.#ctx, container, options);
        this.#publish(container, "stop");
      }
      if (container.removed) throw notFound(container);
      this.#delays.delete(container.id);
      container.update({ restartCount: 0, stoppedByUser: false });
      await this.#start(container);
      this.#publish(container, "restart");
      return note;
    });
  }

  async kill(container: Container, signal: string | undefined): Promise<void> {
    await killContainer(this.#ctx, container, signal);
  }

  /** `force`: it may run. @throws container/wrong-status */
  async remove(container: Container, options: { readonly force: boolean; readonly volumes: boolean }): Promise<void> {
    if (!options.force) checkRemovable(container);
    await container.exclusively(async () => {
      if (container.removed) return;
      if (!options.force) checkRemovable(container);
      this.#cancelRestart(container);
      if (container.alive) await endProcess(this.#ctx, container, { timeoutSeconds: 0, signal: "SIGKILL" });
      // With auto-remove its end has removed it.
      if (!container.removed) await removeContainer(this.#ctx, container, options);
      this.#delays.delete(container.id);
    });
  }

  async pause(container: Container): Promise<void> {
    await container.exclusively(async () => {
      const { status } = container.state;
      if (status === "paused") throw wrongStatus(`container ${container.id} is already paused`);
      if (status !== "running") throw wrongStatus(`container ${container.id} is not running`);
      await this.#pause(container);
    });
  }

  async unpause(container: Container): Promise<void> {
    await container.exclusively(async () => {
      if (container.state.status !== "paused") throw wrongStatus(`Container ${container.id} is not paused`);
      await this.#unpause(container);
    });
  }

  /** Does something with its files while nothing of it runs. */
  async whileStill<T>(container: Container, work: () => Promise<T>): Promise<T> {
    return container.exclusively(async () => {
      if (container.removed) throw notFound(container);
      if (!isIn(container, "running")) return work();
      await this.#pause(container);
      try {
        return await work();
      } finally {
        if (isIn(container, "paused")) await this.#unpause(container);
      }
    });
  }

  /** Takes over a process that an earlier engine started. */
  async adopt(container: Container, launched: Launched): Promise<void> {
    try {
      this.#ctx.runs.watch(container, launched, (end) => this.#ended(container, end));
    } catch (error) {
      if (syscallErrno(error) !== "ESRCH") throw error;
      await waitForEnd(launched.monitor); // it has ended since it was looked at
      await this.#ended(container, readEnd(container));
    }
  }

  /** Deals with an end that an earlier engine did not see. */
  async adoptEnd(container: Container, end: RunEnd): Promise<void> {
    await this.#ended(container, end);
  }

  isWaitingToRestart(container: Container): boolean {
    return this.#timers.has(container.id);
  }

  /** Starts it after so long, as its policy would. It is "restarting". */
  restartSoon(container: Container, delayMs: number): void {
    this.#scheduleRestart(container, delayMs);
  }

  /** Containers go on. */
  close(): void {
    this.#closed = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#ctx.runs.close();
  }

  #checkStartable(container: Container): void {
    const { status } = container.state;
    if (container.removed) throw notFound(container);
    if (status === "paused") {
      throw wrongStatus("cannot start a paused container, try unpause instead");
    }
    if (status === "running") {
      throw new TscomposeError("container/not-modified", `container ${container.name} is already started`);
    }
    if (status === "removing" || status === "dead") {
      throw wrongStatus("container is marked for removal and cannot be started");
    }
  }

  async #start(container: Container): Promise<void> {
    try {
      await startContainer(this.#ctx, container, {
        onProcess: (made, launched, started) =>
          this.#ctx.runs.watch(made, launched, async (end) => {
            if (await started) await this.#ended(made, end);
          }),
      });
    } catch (error) {
      if (container.record.hostConfig.AutoRemove === true && !container.removed) {
        await removeContainer(this.#ctx, container, { volumes: true });
      }
      throw error;
    }
  }

  async #ended(container: Container, end: RunEnd): Promise<void> {
    const lastDelayMs = this.#delays.get(container.id) ?? 0;
    let decision: RestartDecision;
    try {
      decision = await recordEnd(this.#ctx, container, { end, lastDelayMs });
    } catch (error) {
      // Whatever it is, nobody may take it for running, or wait for it for ever.
      this.#ctx.log("error", `the end of container ${container.name} could not be recorded: ${errorMessage(error)}`);
      container.update({ status: "exited", process: undefined, monitor: undefined, error: errorMessage(error) });
      return;
    }
    if (decision.restart && !this.#closed) this.#scheduleRestart(container, decision.delayMs);
    else if (container.record.hostConfig.AutoRemove === true) await this.#autoRemove(container);
  }

  async #autoRemove(container: Container): Promise<void> {
    try {
      if (!container.removed) await removeContainer(this.#ctx, container, { volumes: true });
    } catch (error) {
      this.#ctx.log("error", `container ${container.name} could not be removed: ${errorMessage(error)}`);
    }
  }

  #scheduleRestart(container: Container, delayMs: number): void {
    this.#delays.set(container.id, delayMs);
    const timer = setTimeout(() => {
      this.#timers.delete(container.id);
      void container.exclusively(() => this.#restartByPolicy(container, delayMs));
    }, delayMs);
    this.#timers.set(container.id, timer);
  }

  async #restartByPolicy(container: Container, delayMs: number): Promise<void> {
    if (this.#closed || container.removed || container.state.status !== "restarting") return;
    try {
      container.update({ restartCount: container.state.restartCount + 1 });
      await this.#start(container);
    } catch (error) {
      this.#ctx.log("warn", `container ${container.name} could not be restarted: ${errorMessage(error)}`);
      const most = container.record.hostConfig.RestartPolicy?.MaximumRetryCount ?? 0;
      const again = most === 0 || container.state.restartCount < most;
      if (container.removed || !again) return;
      container.update({ status: "restarting" });
      this.#scheduleRestart(container, Math.min(delayMs * 2, 60_000));
    }
  }

  #giveUpRestart(container: Container): void {
    this.#cancelRestart(container);
    container.update({ status: "exited", stoppedByUser: true });
    container.persist();
    this.#publish(container, "stop");
  }

  #cancelRestart(container: Container): void {
    clearTimeout(this.#timers.get(container.id));
    this.#timers.delete(container.id);
  }

  async #pause(container: Container): Promise<void> {
    await this.#freeze(container, true);
    if (!container.alive) throw wrongStatus(`container ${container.id} is not running`); // it has ended meanwhile
    container.update({ status: "paused" });
    this.#publish(container, "pause");
  }

  async #unpause(container: Container): Promise<void> {
    await this.#freeze(container, false);
    if (!container.alive) return;
    container.update({ status: "running" });
    this.#publish(container, "unpause");
  }

  async #freeze(container: Container, frozen: boolean): Promise<void> {
    const group = cgroupPathOf(this.#ctx, container);
    const { cgroup } = this.#ctx.host;
    freezeCgroup(cgroup, group, frozen);
    const deadline = performance.now() + freezePatienceMs;
    while (isFrozen(cgroup, group) !== frozen) {
      if (performance.now() > deadline) {
        freezeCgroup(cgroup, group, !frozen);
        throw new TscomposeError(
          "engine/failed",
          `container ${container.name} could not be ${frozen ? "paused" : "unpaused"}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (frozen) freezeCgroup(cgroup, group, true); // version 1 may need to be asked again
    }
  }

  #publish(container: Container, action: ContainerAction): void {
    const attributes = containerAttributes(container.record);
    this.#ctx.publish({ type: "container", action, id: container.id, attributes });
  }
}

const freezePatienceMs = 5000;

const isIn = (container: Container, status: ContainerStatus): boolean => container.state.status === status;

function wrongStatus(message: string): TscomposeError {
  return new TscomposeError("container/wrong-status", message);
}
function notFound({ id }: Container): TscomposeError {
  return new TscomposeError("container/not-found", `No such container: ${id}`);
}
