/** Commands inside running containers, as the Engine API has them: created, started once, inspected for a while afterwards.
 *  They live in this process only: an exec does not survive the engine as something that can be asked about. */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { errorMessage, TscomposeError } from "../../errors.ts";
import { expectCgroupMove } from "../../host/cgroup-moves.ts";
import type { Poller } from "../../host/poller.ts";
import { isAlive } from "../../host/process-identity.ts";
import type { Container } from "../containers/container.ts";
import type { ContainerRegistry } from "../containers/registry.ts";
import type { ExecService, StdioSession } from "../engine.ts";
import { containerAttributes, type EngineEvent, type PublishEvent } from "../events.ts";
import type { ExecConfig, ExecInspect } from "../types.ts";
import { DetachMatcher, parseDetachKeys } from "./detach-keys.ts";
import { execProcess, type ProcessUser, type RuntimeProcess } from "./exec-process.ts";
import { runExec, type ExecEnd, type ExecStreams, type RunningExec } from "./exec-run.ts";

export interface ExecOptions {
  readonly registry: ContainerRegistry;
  /** The OCI runtime that made the container, with its global options (`--root` among them). */
  readonly runtimeCommand: (container: Container) => readonly string[];
  /** See `ExecTarget.sendsTerminal`. */
  readonly sendsTerminal: (container: Container) => boolean;
  /** `name`, `uid`, with `:group`: looked up in the container's own /etc, which is hostile. @throws request/invalid */
  readonly resolveUser: (
    container: Container,
    user: string,
  ) => (ProcessUser & { readonly home?: string }) | Promise<ProcessUser & { readonly home?: string }>;
  /** `CAP_…` names of every capability of this kernel. */
  readonly allCapabilities: readonly string[];
  readonly publish: PublishEvent;
  readonly poller: Poller;
}

interface Exec {
  readonly id: string;
  readonly container: Container;
  readonly config: ExecConfig;
  readonly detachKeys: readonly number[];
  /** Publishes no events. */
  readonly quiet: boolean;
  running: RunningExec | undefined;
  end: ExecEnd | undefined;
  started: boolean;
}

/** So long an ended exec can be inspected. */
const keepMs = 5 * 60_000;

export class Execs implements ExecService {
  readonly #options: ExecOptions;
  readonly #execs = new Map<string, Exec>();

  constructor(options: ExecOptions) {
    this.#options = options;
  }

  /** @throws container/not-found, container/wrong-status unless it runs and is not paused, request/invalid */
  async create(containerRef: string, config: ExecConfig): Promise<{ readonly Id: string }> {
    const container = this.#options.registry.resolve(containerRef);
    requireRunning(container, containerRef);
    void expectCgroupMove(); // by its start, which most clients ask for next
    if ((config.Cmd ?? []).length === 0) throw new TscomposeError("request/invalid", "No exec command specified");
    // Here, where the answer can say so: the start of an exec has no way to.
    if (config.User) await this.#options.resolveUser(container, config.User);
    const id = randomBytes(32).toString("hex");
    const detachKeys = parseDetachKeys(config.DetachKeys);
    const state = { quiet: false, running: undefined, end: undefined, started: false };
    const exec: Exec = { id, container, config, detachKeys, ...state };
    this.#execs.set(id, exec);
    container.execIds.add(id);
    this.#publish(exec, `exec_create: ${commandText(config)}`);
    return Promise.resolve({ Id: id });
  }

  /** A command that cannot be started is no error here: the session says why, and `inspect` has 126 or 127.
   *  @throws exec/not-found, container/wrong-status when it was started before or the container does not run */
  async start(
    id: string,
    options: {
      readonly detach: boolean;
      readonly tty: boolean;
      readonly consoleSize: readonly [number, number] | undefined;
    },
  ): Promise<StdioSession | undefined> {
    const exec = this.#get(id);
    if (exec.started) {
      const state = exec.end === undefined ? "is already running" : "has already run";
      throw new TscomposeError("container/wrong-status", `Error: Exec command ${id} ${state}`);
    }
    requireRunning(exec.container, exec.container.name);
    exec.started = true;
    const { config } = exec;
    const attached = !options.detach;
    const streams = {
      stdin: attached && config.AttachStdin === true,
      stdout: attached && config.AttachStdout === true,
      stderr: attached && config.AttachStderr === true,
    };
    const consoleSize = options.consoleSize ?? config.ConsoleSize ?? undefined;
    const running = await this.#launch(exec, { consoleSize, streams });
    if (attached) return this.#session(exec, running);
    running.detach();
    return undefined;
  }

  resize(id: string, height: number, width: number): Promise<void> {
    const exec = this.#get(id);
    if (exec.running === undefined || exec.end !== undefined) {
      throw new TscomposeError("container/wrong-status", `exec ${id} is not running`);
    }
    exec.running.resize(height, width);
    return Promise.resolve();
  }

  inspect(id: string): Promise<ExecInspect> {
    const { config, container, end, running, started } = this.#get(id);
    const [entrypoint = "", ...args] = config.Cmd ?? [];
    const process = { tty: config.Tty === true, entrypoint, arguments: args, privileged: config.Privileged === true };
    return Promise.resolve({
      ID: id,
      Running: started && end === undefined,
      ExitCode: end?.exitCode ?? null,
      ProcessConfig: { ...process, user: config.User ?? "" },
      OpenStdin: config.AttachStdin === true,
      OpenStderr: config.AttachStderr === true,
      OpenStdout: config.AttachStdout === true,
      CanRemove: end !== undefined,
      ContainerID: container.id,
      DetachKeys: config.DetachKeys ?? "",
      Pid: end?.pid ?? running?.pid() ?? 0,
    });
  }

  /** Runs a command that the engine itself wants run, such as a health probe. `quiet`: without events.
   *  @throws container/wrong-status */
  async probe(container: Container, config: ExecConfig, quiet: boolean): Promise<RunningExec> {
    requireRunning(container, container.name);
    const id = randomBytes(32).toString("hex");
    const exec: Exec = {
      id,
      container,
      config,
      detachKeys: [],
      quiet,
      running: undefined,
      end: undefined,
      started: true,
    };
    this.#publish(exec, `exec_create: ${commandText(config)}`);
    return this.#launch(exec, { consoleSize: undefined, streams: { stdin: false, stdout: true, stderr: true } });
  }

  async #launch(exec: Exec, wanted: LaunchWishes): Promise<RunningExec> {
    try {
      const running = await this.#run(exec, wanted);
      exec.running = running;
      void running.ended.then((end) => this.#ended(exec, end));
      return running;
    } catch (error) {
      const failure = { message: errorMessage(error), exitCode: 126 } as const;
      this.#ended(exec, { exitCode: 126, failure, pid: 0 });
      throw error;
    }
  }

  async #run(exec: Exec, wanted: LaunchWishes): Promise<RunningExec> {
    const { container, config, id } = exec;
    void expectCgroupMove();
    const spec = JSON.parse(readFileSync(container.paths.runtimeSpec, "utf8")) as { readonly process: RuntimeProcess };
    const user = (config.User ?? "") === "" ? undefined : await this.#options.resolveUser(container, config.User ?? "");
    const process = execProcess(spec.process, {
      config,
      user,
      consoleSize: wanted.consoleSize,
      allCapabilities: this.#options.allCapabilities,
    });
    this.#publish(exec, `exec_start: ${commandText(config)}`);
    mkdirSync(container.paths.bundle, { recursive: true, mode: 0o700 });
    const target = {
      runtimeCommand: this.#options.runtimeCommand(container),
      sendsTerminal: this.#options.sendsTerminal(container),
      containerId: container.id,
      directory: container.paths.bundle,
    };
    return runExec(target, { id, process, streams: wanted.streams }, this.#options.poller);
  }

  #ended(exec: Exec, end: ExecEnd): void {
    exec.end = end;
    exec.running = undefined; // its streams are not to be kept along with the result
    exec.container.execIds.delete(exec.id);
    if (end.failure === undefined) this.#publish(exec, "exec_die", { exitCode: String(end.exitCode) });
    setTimeout(() => this.#execs.delete(exec.id), keepMs).unref();
  }

  #session(exec: Exec, running: RunningExec): StdioSession {
    const tty = exec.config.Tty === true;
    const matcher = tty ? new DetachMatcher(exec.detachKeys) : undefined;
    return {
      tty,
      output: running.output,
      writeStdin: async (data) => {
        if (exec.config.AttachStdin !== true) return false;
        const { forward, detached } = matcher?.feed(data) ?? { forward: data, detached: false };
        const taken = forward.length === 0 || (await running.writeStdin(forward));
        if (detached) {
          running.detach();
          this.#publish(exec, "exec_detach");
        }
        return taken && !detached;
      },
      endStdin: () => running.endStdin(),
      detach: () => running.detach(),
    };
  }

  #get(id: string): Exec {
    const exec = this.#execs.get(id);
    if (exec === undefined) throw new TscomposeError("exec/not-found", `No such exec instance: ${id}`);
    return exec;
  }

  #publish(exec: Exec, action: ContainerEvent["action"], more: Readonly<Record<string, string>> = {}): void {
    if (exec.quiet) return;
    const { container, id } = exec;
    const attributes = containerAttributes(container.record, { execID: id, ...more });
    this.#options.publish({ type: "container", action, id: container.id, attributes });
  }
}

interface LaunchWishes {
  readonly consoleSize: readonly [number, number] | undefined;
  readonly streams: ExecStreams;
}
type ContainerEvent = Extract<EngineEvent, { readonly type: "container" }>;

/** Docker joins the program and its arguments, which leaves a blank at the end where there are none. */
function commandText(config: ExecConfig): string {
  const [entrypoint = "", ...args] = config.Cmd ?? [];
  return `${entrypoint} ${args.join(" ")}`;
}

function requireRunning(container: Container, ref: string): void {
  const { status, process } = container.state;
  if (status === "paused") {
    throw new TscomposeError("container/wrong-status", `Container ${ref} is paused, unpause the container before exec`);
  }
  if (status === "restarting") {
    throw new TscomposeError(
      "container/wrong-status",
      `Container ${container.id} is restarting, wait until the container is running`,
    );
  }
  if (status !== "running" || process === undefined || !isAlive(process)) {
    throw new TscomposeError("container/wrong-status", `container ${container.id} is not running`);
  }
}
