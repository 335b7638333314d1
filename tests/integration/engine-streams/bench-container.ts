/** A container made by hand, without the engine's own lifecycle: monitor, runtime, a root of nothing but busybox. Enough for what
 *  reads, feeds and enters one. */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Container } from "../../../src/engine/containers/container.ts";
import { containerPaths, exitsDir } from "../../../src/engine/containers/paths.ts";
import type { ContainerRecord } from "../../../src/engine/containers/record.ts";
import { ContainerRegistry } from "../../../src/engine/containers/registry.ts";
import type { OutputChunk } from "../../../src/engine/engine.ts";
import { createProcess, releaseProcess } from "../../../src/engine/runtime/launch.ts";
import { chooseRuntime, findProgram, runtimeCommand } from "../../../src/engine/runtime/oci-runtime.ts";
import { Attachments } from "../../../src/engine/streams/attachments.ts";
import { Execs } from "../../../src/engine/streams/exec-service.ts";
import { HealthMonitors } from "../../../src/engine/health/health-monitors.ts";
import { monitorLogArguments, planLog } from "../../../src/engine/streams/log-config.ts";
import { prepareLogFiles } from "../../../src/engine/streams/log-files.ts";
import { LogKeeper } from "../../../src/engine/streams/log-keeper.ts";
import { RunCompanions } from "../../../src/engine/streams/run-companions.ts";
import type { ContainerConfig, HostConfig } from "../../../src/engine/types.ts";
import { runCommand } from "../../../src/host/command.ts";
import { Inotify } from "../../../src/host/inotify.ts";
import { Poller } from "../../../src/host/poller.ts";
import { isAlive } from "../../../src/host/process-identity.ts";

const applets = [
  "sh",
  "cat",
  "sleep",
  "echo",
  "true",
  "ls",
  "stty",
  "id",
  "env",
  "head",
  "kill",
  "printf",
  "yes",
  "dd",
  "mv",
  "ln",
];

export class Bench {
  readonly dir = mkdtempSync(join(tmpdir(), "tsc-streams-"));
  readonly roots = { dataRoot: join(this.dir, "data"), runRoot: join(this.dir, "run") };
  readonly poller = new Poller();
  readonly inotify = new Inotify(this.poller);
  readonly registry = new ContainerRegistry();
  readonly events: string[] = [];
  readonly runtime = chooseRuntime({
    stateDir: join(this.dir, "oci"),
    name: undefined,
    privateMounts: false,
    systemdCgroups: false,
  });
  readonly attachments = new Attachments({
    poller: this.poller,
    inotify: this.inotify,
    publish: (event) => void this.events.push(event.action),
  });
  readonly execs = new Execs({
    registry: this.registry,
    runtimeCommand: () => runtimeCommand(this.runtime),
    sendsTerminal: () => this.runtime.name === "crun",
    resolveUser: (_container, user) => ({ uid: Number(user), gid: Number(user), additionalGids: [], home: "/" }),
    allCapabilities: ["CAP_SYS_ADMIN"],
    publish: (event) => void this.events.push(event.action),
    poller: this.poller,
  });
  readonly #companions = new RunCompanions({
    attachments: this.attachments,
    health: new HealthMonitors({
      exec: (container, config, quiet) => this.execs.probe(container, config, quiet),
      setHealthy: () => undefined,
      publish: (event) => void this.events.push(event.action),
      eager: true,
    }),
    logs: new LogKeeper(this.inotify, () => undefined),
  });
  #next = 0;

  /** Makes the container, without its process. */
  create(config: ContainerConfig, hostConfig: HostConfig = {}): Container {
    const id = `${process.pid}b${this.#next++}`.padEnd(64, "0");
    const record = {
      id,
      name: `bench-${this.#next}`,
      created: new Date().toISOString(),
      imageRef: "bench",
      config,
      hostConfig,
      state: { status: "created", startedAt: new Date().toISOString(), error: "", health: undefined },
    } as unknown as ContainerRecord;
    const container = new Container(record, containerPaths(this.roots, id), (error) => console.error(error));
    for (const directory of [
      container.paths.dir,
      container.paths.bundle,
      exitsDir(this.roots),
      this.runtime.stateDir,
    ]) {
      mkdirSync(directory, { recursive: true });
    }
    makeRoot(container.paths.root);
    writeFileSync(container.paths.runtimeSpec, JSON.stringify(runtimeSpec(container)));
    this.registry.add(container);
    this.#companions.accompany(container);
    return container;
  }

  async start(container: Container): Promise<void> {
    const { paths, record } = container;
    const { bounds } = planLog(record.hostConfig.LogConfig);
    prepareLogFiles(paths.log, bounds);
    const launched = await createProcess(this.runtime, {
      id: container.id,
      paths,
      exitDir: exitsDir(this.roots),
      conmon: findProgram("conmon") ?? "",
      terminal: record.config.Tty === true,
      stdin: record.config.OpenStdin === true,
      leaveStdinOpen: record.config.StdinOnce !== true,
      logArguments: monitorLogArguments(paths.log, bounds),
    });
    container.update({ process: launched.process, monitor: launched.monitor });
    await Promise.all([...container.beforeRelease].map((ready) => ready()));
    container.update({ status: "running", startedAt: new Date().toISOString() });
    await releaseProcess(this.runtime, container.id);
    void this.#waitForEnd(container);
  }

  async run(config: ContainerConfig, hostConfig: HostConfig = {}): Promise<Container> {
    const container = this.create(config, hostConfig);
    await this.start(container);
    return container;
  }

  async ended(container: Container): Promise<void> {
    while (container.alive) await pause(5);
  }

  async exec(container: Container, ...command: string[]) {
    const config = { Cmd: command, AttachStdout: true, AttachStderr: true };
    const { Id } = await this.execs.create(container.id, config);
    const session = await this.execs.start(Id, { detach: false, tty: false, consoleSize: undefined });
    const output = await textOf(session?.output ?? []);
    return { output, ...(await this.execs.inspect(Id)) };
  }

  async close(): Promise<void> {
    for (const container of this.registry.all()) {
      await runCommand([...runtimeCommand(this.runtime), "delete", "--force", container.id], {
        acceptExitCodes: [0, 1],
      });
      await this.ended(container);
    }
    this.#companions.close();
    this.inotify.close();
    await this.poller.close();
    rmSync(this.dir, { recursive: true, force: true });
  }

  async #waitForEnd(container: Container): Promise<void> {
    const { monitor } = container.state;
    while (monitor !== undefined && isAlive(monitor)) await pause(5);
    container.update({ status: "exited", process: undefined, monitor: undefined });
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Polls until it is true; fails after ten seconds with `what`. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await pause(5);
  }
}

/** `stdout:a\n` and so on, neighbours of one stream joined. */
export async function textOf(output: AsyncIterable<OutputChunk> | readonly OutputChunk[]): Promise<string[]> {
  const texts: string[] = [];
  let last = "";
  for await (const { stream, data } of output) {
    if (stream === last) texts[texts.length - 1] += data.toString();
    else texts.push(`${stream}:${data.toString()}`);
    last = stream;
  }
  return texts;
}

function makeRoot(root: string): void {
  for (const directory of ["bin", "proc", "sys", "dev", "tmp", "etc"])
    mkdirSync(join(root, directory), { recursive: true });
  const busybox = ["/bin/busybox", "/usr/bin/busybox"].find((path) => existsSync(path)) ?? "/bin/busybox";
  copyFileSync(busybox, join(root, "bin/busybox"));
  for (const applet of applets) symlinkSync("busybox", join(root, "bin", applet));
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
}

function runtimeSpec(container: Container): object {
  const { config } = container.record;
  const capabilities = ["CAP_CHOWN", "CAP_KILL"];
  const mount = (destination: string, type: string, options: string[]) => ({
    destination,
    type,
    source: type,
    options,
  });
  return {
    ociVersion: "1.0.2",
    process: {
      terminal: config.Tty === true,
      user: { uid: 0, gid: 0 },
      args: config.Cmd,
      env: ["PATH=/bin", ...(config.Env ?? [])],
      cwd: "/",
      noNewPrivileges: true,
      capabilities: {
        bounding: capabilities,
        permitted: capabilities,
        effective: capabilities,
        inheritable: [],
        ambient: [],
      },
    },
    root: { path: container.paths.root },
    hostname: "bench",
    mounts: [
      mount("/proc", "proc", []),
      mount("/dev", "tmpfs", ["nosuid", "mode=755"]),
      mount("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
    ],
    linux: {
      cgroupsPath: `/tsc-streams-${process.pid}/${dirname(container.paths.bundle).length}-${container.id.slice(0, 16)}`,
      namespaces: ["pid", "ipc", "uts", "mount", "network"].map((type) => ({ type })),
      seccomp: { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["uselib"], action: "SCMP_ACT_ERRNO" }] },
    },
  };
}
