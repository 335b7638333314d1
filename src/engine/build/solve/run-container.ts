/** The container of one RUN step: the default confinement of containers, the output piped to the build, no monitor. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TscomposeError, errorMessage } from "../../../errors.ts";
import { expectCgroupMove } from "../../../host/cgroup-moves.ts";
import { spawnPiped } from "../../../host/child.ts";
import { runCommand } from "../../../host/command.ts";
import { UndoStack } from "../../../host/undo-stack.ts";
import { placeCgroup } from "../../containers/cgroup-place.ts";
import { Container } from "../../containers/container.ts";
import type { ContainerContext } from "../../containers/context.ts";
import { never, newState } from "../../containers/create/create.ts";
import { normaliseHostConfig } from "../../containers/create/host-config.ts";
import { defaultNetworkSysctls } from "../../containers/network-plan.ts";
import { containerPaths } from "../../containers/paths.ts";
import type { ContainerPaths } from "../../containers/paths.ts";
import type { ContainerRecord, ResolvedMount } from "../../containers/record.ts";
import { runtimeSpecOf } from "../../containers/spec-of.ts";
import { writeRuntimeSpec } from "../../containers/write-spec.ts";
import { ensureAppArmor } from "../../runtime/apparmor.ts";
import { runtimeCommand } from "../../runtime/oci-runtime.ts";
import type { OciRuntime } from "../../runtime/oci-runtime.ts";
import type { RuntimeSpec } from "../../runtime/spec-types.ts";
import type { HostConfig } from "../../types.ts";
import { parseExtraHost } from "../../../network/etc-files.ts";
import type { NetworkMode } from "../dockerfile/instruction.ts";
import { sandboxName } from "./run-networks.ts";
import type { RunNetwork, RunNetworks } from "./run-networks.ts";

export interface RunRequest {
  /** Unique to the step; hex. */
  readonly id: string;
  readonly rootfs: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: string;
  readonly network: NetworkMode;
  readonly networks: RunNetworks;
  readonly privileged: boolean;
  readonly limits: HostConfig;
  readonly mounts: readonly ResolvedMount[];
  readonly onOutput: (data: Buffer) => void;
  readonly signal: AbortSignal;
}

/** Where containers of builds have their files: apart from those of users, so that neither is taken for the other. */
export interface BuildRoots {
  readonly dataRoot: string;
  readonly runRoot: string;
}

export function buildRuntime(ctx: ContainerContext, roots: BuildRoots): OciRuntime {
  return { ...ctx.runtime, stateDir: join(roots.runRoot, "oci") };
}

function recordOf(ctx: ContainerContext, request: RunRequest): ContainerRecord {
  const [path = "", ...args] = request.args;
  const network = request.network === "default" ? "bridge" : request.network;
  return {
    version: 1,
    id: request.id,
    name: `build-${request.id.slice(0, 12)}`,
    created: never,
    imageId: "",
    imageRef: "",
    config: { Hostname: sandboxName, User: request.user, WorkingDir: request.cwd, Env: request.env, Cmd: request.args },
    hostConfig: normaliseHostConfig(
      { ...request.limits, NetworkMode: network, Privileged: request.privileged },
      { host: ctx.host, runtimes: ctx.runtime.names },
    ),
    path,
    args,
    endpoints: {},
    mounts: request.mounts,
    state: newState(),
  };
}

async function connect(networks: RunNetworks, record: ContainerRecord, undo: UndoStack): Promise<RunNetwork> {
  const mode = record.hostConfig.NetworkMode;
  const extra = (record.hostConfig.ExtraHosts ?? []).flatMap((entry) => {
    const host = parseExtraHost(entry, undefined);
    return host === undefined ? [] : [`${host.address}\t${host.name}\n`];
  });
  const plain = `127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t${sandboxName}\n${extra.join("")}`;
  if (mode === "none") return { namespace: "new", hosts: plain, resolvConf: "" };
  if (mode === "host") {
    const { readFile } = await import("node:fs/promises");
    return { namespace: "host", hosts: plain, resolvConf: await readFile("/etc/resolv.conf", "utf8").catch(() => "") };
  }
  const use = record.hostConfig.Privileged === true ? "once" : "shared";
  const leased = await networks.lease(record.hostConfig.ExtraHosts ?? [], use);
  undo.defer("network", () => leased.release());
  return leased;
}

function writeFiles(paths: ContainerPaths, network: RunNetwork): void {
  mkdirSync(paths.dir, { recursive: true, mode: 0o700 });
  mkdirSync(paths.bundle, { recursive: true, mode: 0o700 });
  writeFileSync(paths.hostsFile, network.hosts, { mode: 0o644 });
  writeFileSync(paths.resolvConf, network.resolvConf, { mode: 0o644 });
  writeFileSync(paths.hostnameFile, `${sandboxName}\n`, { mode: 0o644 });
}

/** What BuildKit does otherwise than for a container: /etc/hostname is the image's own, a write to the files of the network fails rather
 *  than being lost, and the name of the sandbox is no variable. */
function asStep(spec: RuntimeSpec, { env }: RunRequest): RuntimeSpec {
  const hasName = env.some((variable) => variable.startsWith("HOSTNAME="));
  return {
    ...spec,
    process: {
      ...spec.process,
      env: spec.process.env.filter((variable) => hasName || !variable.startsWith("HOSTNAME=")),
    },
    mounts: spec.mounts
      .filter(({ destination }) => destination !== "/etc/hostname")
      .map((mount) => (isNetworkFile(mount.destination) ? readOnly(mount) : mount)),
  };
}

function isNetworkFile(path: string): boolean {
  return path === "/etc/hosts" || path === "/etc/resolv.conf";
}

function readOnly(mount: RuntimeSpec["mounts"][number]): RuntimeSpec["mounts"][number] {
  return { ...mount, options: [...(mount.options ?? []).filter((option) => option !== "rw"), "ro"] };
}

/** Runs the process to its end. @returns its exit code
 *  @throws build/failed where it cannot be started; aborted */
export async function runContainer(ctx: ContainerContext, roots: BuildRoots, request: RunRequest): Promise<number> {
  const undo = new UndoStack();
  try {
    const record = recordOf(ctx, request);
    const paths = containerPaths(roots, request.id);
    undo.defer("files", () => {
      rmSync(paths.bundle, { recursive: true, force: true });
      rmSync(paths.dir, { recursive: true, force: true });
    });
    const network = await connect(request.networks, record, undo);
    writeFiles(paths, network);
    const container = new Container(record, paths, () => undefined);
    const sysctls = network.namespace === "host" ? {} : defaultNetworkSysctls;
    const spec = runtimeSpecOf(ctx, container, {
      rootfs: request.rootfs,
      mounts: request.mounts,
      network: {
        namespace: network.namespace,
        connectLater: false,
        netnsFd: undefined,
        sysctls: network.namespace === "new" ? sysctls : {},
        shared: undefined,
      },
      ipc: { namespace: "new", sharedMemory: undefined },
      cgroup: placeCgroup(ctx, container, "build"),
    });
    await ensureAppArmor(spec);
    writeRuntimeSpec(paths, asStep(spec, request));
    return await runProcess(buildRuntime(ctx, roots), { request, paths });
  } finally {
    for (const problem of await undo.run()) ctx.log("warn", `build step ${request.id}: ${errorMessage(problem)}`);
  }
}

async function runProcess(
  runtime: OciRuntime,
  { request, paths }: { readonly request: RunRequest; readonly paths: ContainerPaths },
): Promise<number> {
  request.signal.throwIfAborted();
  mkdirSync(runtime.stateDir, { recursive: true, mode: 0o700 });
  const command = runtimeCommand(runtime);
  void expectCgroupMove();
  const child = spawnPiped([...command, "run", "--bundle", paths.bundle, request.id], {
    stdin: false,
    stdout: true,
    stderr: true,
  });
  const stop = (): void => void killContainer(runtime, request.id).finally(() => child.kill("SIGKILL"));
  request.signal.addEventListener("abort", stop, { once: true });
  const ended = [child.stdout, child.stderr].map(
    (stream) =>
      new Promise<void>((resolve) => {
        stream?.on("data", request.onOutput);
        for (const event of ["end", "error", "close"]) stream?.once(event, () => resolve());
      }),
  );
  try {
    const code = await child.exited;
    // A process that the program left behind may hold the pipes: it is gone with its namespace in a moment.
    await Promise.race([Promise.all(ended), new Promise((resolve) => setTimeout(resolve, 1000))]);
    if (request.signal.aborted) throw new TscomposeError("aborted", "the build was cancelled");
    return code;
  } finally {
    request.signal.removeEventListener("abort", stop);
    child.stdout?.destroy();
    child.stderr?.destroy();
    rmSync(join(runtime.stateDir, request.id), { recursive: true, force: true });
  }
}

async function killContainer(runtime: OciRuntime, id: string): Promise<void> {
  await runCommand([...runtimeCommand(runtime), "delete", "--force", id]).catch(() => undefined);
}

/** Ends what an engine that was killed left running, and removes its files. */
export async function removeLeftovers(ctx: ContainerContext, roots: BuildRoots): Promise<void> {
  const { readdir, rm } = await import("node:fs/promises");
  const runtime = buildRuntime(ctx, roots);
  const ids = await readdir(runtime.stateDir).catch(() => []);
  await Promise.all(ids.map((id) => killContainer(runtime, id)));
  await rm(roots.runRoot, { recursive: true, force: true });
  for (const name of ["containers", "work"]) await rm(join(roots.dataRoot, name), { recursive: true, force: true });
}
