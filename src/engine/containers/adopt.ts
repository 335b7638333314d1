/** Takes over from an earlier engine: what runs goes on, what has ended is recorded, what belongs to nobody is removed. The kernel
 *  is the truth about what runs. Source: reliability.md, section 5. */
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { errorMessage } from "../../errors.ts";
import { writeAtomic } from "../../host/atomic-file.ts";
import { cgroupProcesses, removeCgroup, subgroups } from "../../host/cgroup.ts";
import { bootId, isAlive } from "../../host/process-identity.ts";
import { findProcesses } from "../../host/process-scan.ts";
import { isWaiting, type Launched } from "../runtime/launch.ts";
import { scopeOwner } from "./cgroup-place.ts";
import { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";
import { killProcess, waitForEnd } from "./end.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { loadRecords } from "./load-records.ts";
import { bundlesDir, containerPaths, exitsDir } from "./paths.ts";
import { removeContainer } from "./remove.ts";
import { startsWithEngine } from "./restart-policy.ts";
import { readEnd, type RunEnd } from "./runs.ts";
import { networkKind } from "./network-plan.ts";
import { sandboxRequest } from "./sandbox.ts";

/** Exit code of a container that was found dead after a reboot. Docker's. */
const rebootExitCode = 255;

export interface Adoption {
  /** What could not be read and was set aside. */
  readonly corrupt: readonly string[];
}

/** First half: records into the registry, survivors told from the dead, orphans ended. Before networking is reconciled. */
export async function adoptContainers(
  ctx: ContainerContext,
  lifecycle: Lifecycle,
): Promise<Adoption & { readonly finish: () => Promise<void> }> {
  const { records, leftovers, corrupt } = loadRecords(ctx.roots);
  corrupt.forEach((message) => ctx.log("error", message));
  const rebooted = noteBoot(ctx);
  const survivors: Container[] = [];
  const ended: { readonly container: Container; readonly end: RunEnd }[] = [];
  for (const record of records) {
    const container = new Container(record, containerPaths(ctx.roots, record.id), (error) => {
      ctx.log("error", `the record of container ${record.name} could not be written: ${errorMessage(error)}`);
    });
    ctx.registry.add(container);
    ctx.images.acquire(record.imageId, { containerId: record.id, running: () => container.alive });
    const launched = launchedOf(container);
    if (container.alive && launched !== undefined && isAlive(launched.process) && !isWaiting(ctx.runtime, record.id)) {
      survivors.push(container);
    } else if (container.alive) {
      ended.push({ container, end: await endOf(ctx, container) });
    }
  }
  const alive = new Set(survivors.map(({ id }) => id));
  await endOrphans(ctx, alive);
  await Promise.all(survivors.map((container) => adoptSandbox(ctx, container)));
  return {
    corrupt,
    finish: async () => {
      ctx.registry.all().forEach((container) => ctx.accompany(container));
      for (const container of survivors) await adoptProcess(lifecycle, container);
      await Promise.all(ended.map(({ container, end }) => lifecycle.adoptEnd(container, end)));
      await Promise.all(leftovers.map((path) => rm(path, { recursive: true, force: true })));
      await removeOrphanFiles(ctx);
      for (const container of ctx.registry.all()) {
        try {
          await settle(ctx, lifecycle, { container, rebooted });
        } catch (error) {
          ctx.log("error", errorMessage(error)); // it stays dead; the others are served
        }
      }
    },
  };
}

function launchedOf(container: Container): Launched | undefined {
  const { process, monitor } = container.state;
  return process === undefined || monitor === undefined ? undefined : { process, monitor };
}

/** @returns whether the machine was started anew since the last engine */
function noteBoot(ctx: ContainerContext): boolean {
  const path = join(ctx.roots.dataRoot, "boot-id");
  const before = existsSync(path) ? readFileSync(path, "utf8").trim() : bootId();
  if (before !== bootId() || !existsSync(path)) writeAtomic(path, `${bootId()}\n`);
  return before !== bootId();
}

/** How a container ended that is not alive any more. */
async function endOf(ctx: ContainerContext, container: Container): Promise<RunEnd> {
  const { process, monitor } = container.state;
  if (process !== undefined && process.bootId !== bootId()) {
    return { exitCode: rebootExitCode, endedNs: BigInt(Date.now()) * 1_000_000n };
  }
  // It was never released: a start that nobody finished.
  if (process !== undefined && isWaiting(ctx.runtime, container.id)) killProcess(process);
  // It may still be writing the last output down.
  if (monitor !== undefined) await waitForEnd(monitor);
  return readEnd(container);
}

/** Ends monitors, runtimes and processes of containers that are not among `alive`. */
async function endOrphans(ctx: ContainerContext, alive: ReadonlySet<string>): Promise<void> {
  const isOrphan = (argv: readonly string[]): boolean => !argv.some((argument) => alive.has(basename(argument)));
  const ours = [ctx.runtime.stateDir, bundlesDir(ctx.roots)].flatMap((path) => findProcesses(path));
  const orphans = ours.filter(({ argv }) => isRuntimeOrMonitor(argv) && isOrphan(argv));
  orphans.forEach(({ identity }) => killProcess(identity));
  await Promise.all(orphans.map(({ identity }) => waitForEnd(identity)));
  await removeOrphanGroups(ctx, ctx.cgroupRoot, alive);
  if (ctx.host.cgroupDriver === "systemd") await endOrphanScopes(ctx, "/", alive);
}

/** Scopes may be below any slice. systemd removes them once they are empty. */
async function endOrphanScopes(ctx: ContainerContext, slice: string, alive: ReadonlySet<string>): Promise<void> {
  for (const mountPoint of ctx.host.cgroup.mountPoints) {
    for (const child of subgroups(mountPoint, slice)) {
      if (child.endsWith(".slice")) await endOrphanScopes(ctx, child, alive);
      const owner = scopeOwner(ctx.cgroupRoot, child);
      if (owner !== undefined && !alive.has(owner)) await emptyGroup(ctx, child);
    }
  }
}

function isRuntimeOrMonitor(argv: readonly string[]): boolean {
  return ["conmon", "crun", "runc"].includes(basename(argv[0] ?? ""));
}

async function removeOrphanGroups(ctx: ContainerContext, group: string, alive: ReadonlySet<string>): Promise<void> {
  const { cgroup } = ctx.host;
  const children = new Set(cgroup.mountPoints.flatMap((mountPoint) => subgroups(mountPoint, group)));
  for (const child of children) {
    if (alive.has(basename(child))) continue;
    if (!/^[0-9a-f]{64}$/.test(basename(child))) {
      await removeOrphanGroups(ctx, child, alive); // a cgroup parent
      continue;
    }
    await emptyGroup(ctx, child);
  }
}

async function emptyGroup({ host: { cgroup } }: ContainerContext, group: string): Promise<void> {
  for (let tries = 0; tries < 500 && (await removeCgroup(cgroup, group)).length > 0; tries++) {
    const pids = new Set(cgroup.mountPoints.flatMap((mountPoint) => cgroupProcesses(mountPoint, group)));
    for (const pid of pids) endPid(pid);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

function endPid(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // it has ended since the group was read
  }
}

async function adoptSandbox(ctx: ContainerContext, container: Container): Promise<void> {
  const { sandbox, process } = container.state;
  const { hostConfig, config } = container.record;
  if (sandbox === undefined || process === undefined || networkKind(hostConfig, config).kind !== "sandbox") return;
  const fd = openSync(`/proc/${process.pid}/ns/net`, "r");
  try {
    await ctx.networking.adoptSandbox(sandboxRequest(ctx, container, fd), sandbox);
  } catch (error) {
    ctx.log("error", `the network of container ${container.name} could not be taken over: ${errorMessage(error)}`);
  } finally {
    closeSync(fd);
  }
}

async function adoptProcess(lifecycle: Lifecycle, container: Container): Promise<void> {
  const launched = launchedOf(container);
  if (launched !== undefined) await lifecycle.adopt(container, launched);
}

/** Files of this boot that belong to no container, or to none that runs. */
async function removeOrphanFiles(ctx: ContainerContext): Promise<void> {
  const remove = async (directory: string, keep: (id: string) => boolean): Promise<void> => {
    const names = readdirSync(directory).filter((name) => !keep(name));
    await Promise.all(names.map((name) => rm(join(directory, name), { recursive: true, force: true })));
  };
  const runs = (id: string): boolean => ctx.registry.get(id)?.alive === true;
  await remove(bundlesDir(ctx.roots), (id) => ctx.registry.get(id) !== undefined);
  await remove(ctx.runtime.stateDir, (id) => runs(id) || id.startsWith("."));
  await remove(exitsDir(ctx.roots), runs);
}

/** What a container that does not run needs next. */
async function settle(
  ctx: ContainerContext,
  lifecycle: Lifecycle,
  found: { readonly container: Container; readonly rebooted: boolean },
): Promise<void> {
  const { container, rebooted } = found;
  const { status, stoppedByUser } = container.state;
  const policy = container.record.hostConfig.RestartPolicy;
  if (status === "removing" || status === "dead") {
    await removeContainer(ctx, container, { volumes: container.record.hostConfig.AutoRemove === true });
  } else if (status === "restarting") {
    // Those that ended just now have their timer; those of the earlier engine get one.
    if (!lifecycle.isWaitingToRestart(container)) lifecycle.restartSoon(container, 100);
  } else if (status === "exited" && rebooted && startsWithEngine(policy, stoppedByUser)) {
    container.update({ status: "restarting" });
    lifecycle.restartSoon(container, 0);
  } else if (status === "exited" && container.record.hostConfig.AutoRemove === true) {
    await removeContainer(ctx, container, { volumes: true });
  }
}

/** Directories of this boot. */
export function makeRunDirectories(ctx: Pick<ContainerContext, "roots" | "runtime">): void {
  for (const path of [bundlesDir(ctx.roots), exitsDir(ctx.roots), ctx.runtime.stateDir]) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  }
}
