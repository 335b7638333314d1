/** Starts a container: everything is prepared, then its process is made and waits, then it is released. What fails on the way is
 *  undone. Callers hold the container (`exclusively`). */
import { chownSync, mkdirSync, openSync, rmSync, statSync, writeFileSync } from "node:fs";
import { expectCgroupMove } from "../../host/cgroup-moves.ts";
import { formatNanoseconds, realtimeNs } from "../../host/clock.ts";
import { ownerOutside } from "../../host/id-map.ts";
import { UndoStack } from "../../host/undo-stack.ts";
import { errorMessage, TscomposeError } from "../../errors.ts";
import { containerAttributes } from "../events.ts";
import { ensureAppArmor } from "../runtime/apparmor.ts";
import { createProcess, releaseProcess, type Launched } from "../runtime/launch.ts";
import { findProgram } from "../runtime/oci-runtime.ts";
import { monitorLogArguments, planLog } from "../streams/log-config.ts";
import { prepareLogFiles } from "../streams/log-files.ts";
import { applyBlockWeight } from "./block-weight.ts";
import { placeCgroup } from "./cgroup-place.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";
import { releaseResources } from "./end.ts";
import { exitsDir } from "./paths.ts";
import { prepareMounts } from "./prepare-mounts.ts";
import { reserveRealtime } from "./realtime.ts";
import { closeNetns, connectNetwork, networkFiles, prepareNetwork } from "./sandbox.ts";
import { prepareIpc, releaseIpc } from "./shared-memory.ts";
import { runtimeSpecOf } from "./spec-of.ts";
import { explainStartFailure } from "./start-failure.ts";
import { writeRuntimeSpec } from "./write-spec.ts";

export interface StartHooks {
  /** The process is there and waits: watch it. `started`: whether it was released in the end. */
  readonly onProcess: (container: Container, launched: Launched, started: Promise<boolean>) => void;
}

/** @throws container/*, network/*, port/in-use, volume/*, image/* */
export async function startContainer(ctx: ContainerContext, container: Container, hooks: StartHooks): Promise<void> {
  const undo = new UndoStack();
  let tell: (started: boolean) => void = () => undefined;
  const started = new Promise<boolean>((resolve) => (tell = resolve));
  try {
    await launch(ctx, container, { undo, watch: (launched) => hooks.onProcess(container, launched, started) });
    undo.commit();
    container.persistSoon();
  } catch (error) {
    tell(false);
    for (const problem of await undo.run()) ctx.log("warn", `container ${container.name}: ${errorMessage(problem)}`);
    throw failed(container, error);
  }
  const attributes = containerAttributes(container.record);
  ctx.publish({ type: "container", action: "start", id: container.id, attributes });
  tell(true);
}

function failed(container: Container, cause: unknown): TscomposeError {
  const { error, exitCode } = explainStartFailure(cause, container.record.path);
  const status = container.state.startedAt.startsWith("0001-") ? "created" : "exited";
  container.update({
    status,
    exitCode,
    error: error.message,
    process: undefined,
    monitor: undefined,
    sandbox: undefined,
  });
  container.persist();
  return error;
}

async function launch(
  ctx: ContainerContext,
  container: Container,
  { undo, watch }: { readonly undo: UndoStack; readonly watch: (launched: Launched) => void },
): Promise<void> {
  const { paths, record } = container;
  const conmon = findProgram("conmon");
  if (conmon === undefined) {
    throw new TscomposeError("host/unsupported", "conmon is not installed", { hint: "apt-get install conmon" });
  }
  rmSync(paths.bundle, { recursive: true, force: true });
  rmSync(paths.exitFile, { force: true });
  mkdirSync(paths.bundle, { recursive: true, mode: 0o700 });
  if (record.userNamespace !== undefined) ctx.userNamespaces.openDirectories(paths.bundle);

  const rootfs = await ctx.rootfs.acquire(container);
  undo.defer("root file system", () => ctx.rootfs.release(container));
  const { mounts, unstage } = await prepareMounts(ctx, container, { rootfs, undo });
  const network = prepareNetwork(ctx, container);
  let netnsFd = network.netnsFd;
  const closeNamespace = (): void => {
    closeNetns(netnsFd);
    netnsFd = undefined;
  };
  undo.defer("network namespace", closeNamespace);
  const ipc = prepareIpc(ctx, container);
  undo.defer("shared memory", () => releaseIpc(container));
  writeNetworkFiles(container, { hosts: "", resolvConf: "" });
  const cgroup = placeCgroup(ctx, container, Date.now().toString(36));
  container.update({ cgroup: cgroup.group });
  const spec = runtimeSpecOf(ctx, container, { rootfs, mounts, network, ipc, cgroup });
  await ensureAppArmor(spec);
  writeRuntimeSpec(paths, ctx.seccompFilters.apply(spec));
  reserveRealtime(ctx, container);
  const log = planLog(record.hostConfig.LogConfig);
  prepareLogFiles(paths.log, log.bounds);

  undo.defer("container", async () => {
    for (const problem of await releaseResources(ctx, container)) {
      ctx.log("warn", `container ${container.name}: ${errorMessage(problem)}`);
    }
  });
  void expectCgroupMove();
  const launched = createProcess(ctx.runtime, {
    id: container.id,
    paths,
    exitDir: exitsDir(ctx.roots),
    conmon,
    terminal: record.config.Tty === true,
    stdin: record.config.OpenStdin === true,
    leaveStdinOpen: record.config.StdinOnce !== true,
    logArguments: monitorLogArguments(paths.log, log.bounds),
  });
  const ready = network.connectLater
    ? launched.then(({ process }) => (netnsFd = openSync(`/proc/${process.pid}/ns/net`, "r")))
    : Promise.resolve(network.netnsFd);
  const [created, connected] = await Promise.allSettled([
    launched,
    ready.then((fd) => connectNetwork(ctx, container, fd)),
  ]);
  if (created.status === "fulfilled")
    container.update({ process: created.value.process, monitor: created.value.monitor });
  if (connected.status === "fulfilled") container.update({ sandbox: connected.value });
  if (created.status === "rejected" && network.connectLater) throw created.reason;
  if (connected.status === "rejected") throw connected.reason;
  if (created.status === "rejected") throw created.reason;
  giveStreams(container, created.value.process.pid, spec.process.user);
  ctx.seccompFilters.learn(spec, container.id);
  unstage();
  closeNamespace();
  applyBlockWeight(ctx, container, record.hostConfig);
  writeNetworkFiles(container, networkFiles(container, connected.value));
  await Promise.all([...container.beforeRelease].map((ready) => ready()));

  // Before its first line of output, and recorded before it runs: after a crash here the next engine finds it.
  container.update({
    status: "running",
    startedAt: formatNanoseconds(realtimeNs()),
    exitCode: 0,
    error: "",
    oomKilled: false,
    stoppedByUser: false,
    ...(connected.value === undefined ? {} : { lastEndpoints: connected.value.endpoints }),
  });
  watch(created.value); // before it can end
  await releaseProcess(ctx.runtime, container.id);
}

/** The pipes that a process in a user namespace has as its streams are the monitor's: without being their owner it could not open
 *  /dev/stdout anew, as many images do. */
function giveStreams(container: Container, pid: number, user: { readonly uid: number; readonly gid: number }): void {
  const map = container.record.userNamespace;
  if (map === undefined) return;
  const { uid, gid } = ownerOutside(map, user);
  for (const fd of [0, 1, 2]) {
    const path = `/proc/${pid}/fd/${fd}`;
    if (statSync(path).isFIFO()) chownSync(path, uid, gid);
  }
}

/** Written in place: the container sees these very files. */
function writeNetworkFiles(container: Container, texts: { readonly hosts: string; readonly resolvConf: string }): void {
  const { paths, record } = container;
  writeFileSync(paths.hostsFile, texts.hosts, { mode: 0o644 });
  writeFileSync(paths.resolvConf, texts.resolvConf, { mode: 0o644 });
  writeFileSync(paths.hostnameFile, `${record.config.Hostname ?? ""}\n`, { mode: 0o644 });
  if (record.userNamespace === undefined) return;
  const { uid, gid } = ownerOutside(record.userNamespace, { uid: 0, gid: 0 });
  for (const path of [paths.hostsFile, paths.resolvConf, paths.hostnameFile]) chownSync(path, uid, gid);
}
