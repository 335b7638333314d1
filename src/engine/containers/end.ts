/** What is done when a container has ended: all that it held is given back, its end is recorded and told, and its restart policy
 *  decides what comes next. */
import { existsSync } from "node:fs";
import { cgroupProcesses, oomKills, removeCgroup } from "../../host/cgroup.ts";
import { formatNanoseconds, parseRfc3339 } from "../../host/clock.ts";
import { pidfdOpen, pidfdSendSignal, syscallErrno } from "../../host/libc.ts";
import { isAlive, type ProcessIdentity } from "../../host/process-identity.ts";
import { closeSync, rmSync } from "node:fs";
import { errorMessage } from "../../errors.ts";
import { containerAttributes } from "../events.ts";
import { removeRuntimeState } from "../runtime/launch.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";
import { releaseMounts } from "./prepare-mounts.ts";
import { decideRestart, type RestartDecision } from "./restart-policy.ts";
import type { RunEnd } from "./runs.ts";
import { disconnectNetwork } from "./sandbox.ts";
import { releaseIpc } from "./shared-memory.ts";
import { cgroupPathOf, scopeOwner } from "./cgroup-place.ts";

/** Exit code of a container whose own nobody knows: its monitor was killed, and it with it. */
const lostExitCode = 137;

/** @returns what its restart policy wants */
export async function recordEnd(
  ctx: ContainerContext,
  container: Container,
  run: { readonly end: RunEnd; readonly lastDelayMs: number },
): Promise<RestartDecision> {
  const { end } = run;
  const before = container.state;
  const exitCode = end.exitCode ?? lostExitCode;
  const oomKilled = wasOutOfMemory(ctx, container);
  const problems = [
    ...(await releaseResources(ctx, container)),
    ...(await releaseMounts(ctx, container)),
    ...attempt(() => releaseIpc(container)),
    ...(await ctx.rootfs.releaseLater(container)),
  ];
  for (const problem of problems) ctx.log("warn", `container ${container.name}: ${errorMessage(problem)}`);
  const startedNs = parseRfc3339(before.startedAt) ?? end.endedNs;
  const ranMs = Math.max(0, Number((end.endedNs - startedNs) / 1_000_000n));
  const decision = decideRestart({
    policy: container.record.hostConfig.RestartPolicy,
    exitCode,
    restartCount: before.restartCount,
    stoppedByUser: before.stoppedByUser,
    ranMs,
    lastDelayMs: run.lastDelayMs,
  });
  container.update({
    status: decision.restart ? "restarting" : "exited",
    process: undefined,
    monitor: undefined,
    sandbox: undefined,
    exitCode,
    error: end.exitCode === undefined ? "the container's monitor was killed: its exit code is not known" : "",
    oomKilled,
    finishedAt: formatNanoseconds(end.endedNs > startedNs ? end.endedNs : startedNs),
  });
  container.persistSoon();
  if (oomKilled) publish(ctx, container, "oom", {});
  publish(ctx, container, "die", {
    exitCode: String(exitCode),
    execDuration: String(Math.floor(ranMs / 1000)),
  });
  return decision;
}

function publish(
  ctx: ContainerContext,
  container: Container,
  action: "oom" | "die",
  more: Readonly<Record<string, string>>,
): void {
  const attributes = containerAttributes(container.record, more);
  ctx.publish({ type: "container", action, id: container.id, attributes });
}

function wasOutOfMemory(ctx: ContainerContext, container: Container): boolean {
  return existsSync(container.paths.oomFile) || oomKills(ctx.host.cgroup, cgroupPathOf(ctx, container)) > 0;
}

/** Ends whatever is left of a container's processes and takes its cgroup, runtime state and network away. Idempotent.
 *  @returns what went wrong */
export async function releaseResources(ctx: ContainerContext, container: Container): Promise<readonly unknown[]> {
  const { process, monitor } = container.state;
  const problems: unknown[] = [];
  if (process !== undefined) problems.push(...attempt(() => killProcess(process)));
  problems.push(...(await disconnectNetwork(ctx, container)));
  if (monitor !== undefined) await waitForEnd(monitor);
  problems.push(...(await removeContainerCgroup(ctx, container)));
  await removeRuntimeState(ctx.runtime, container.id).catch((error: unknown) => problems.push(error));
  problems.push(...attempt(() => rmSync(container.paths.exitFile, { force: true })));
  return problems;
}

/** SIGKILL, to that very process. Gone is fine. */
export function killProcess(identity: ProcessIdentity): void {
  let fd: number;
  try {
    fd = pidfdOpen(identity.pid);
  } catch (error) {
    if (syscallErrno(error) === "ESRCH") return;
    throw error;
  }
  try {
    if (isAlive(identity)) pidfdSendSignal(fd, 9);
  } catch (error) {
    if (syscallErrno(error) !== "ESRCH") throw error;
  } finally {
    closeSync(fd);
  }
}

const pollMs = 2;
const patienceMs = 5000;

/** A monitor that hangs after its container has ended is killed. */
export async function waitForEnd(identity: ProcessIdentity): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (isAlive(identity)) {
    if (performance.now() > deadline) {
      killProcess(identity);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** Processes that outlive the container's first one (with the host's pid namespace) are killed. */
async function removeContainerCgroup(ctx: ContainerContext, container: Container): Promise<readonly unknown[]> {
  const group = cgroupPathOf(ctx, container);
  const deadline = performance.now() + patienceMs;
  for (;;) {
    let busy: readonly string[];
    try {
      busy = await removeCgroup(ctx.host.cgroup, group);
    } catch (error) {
      return [error];
    }
    if (busy.length === 0) return removeParents(ctx, container.id, group);
    if (performance.now() > deadline) return [new Error(`cgroup ${group} is still in use`)];
    for (const pid of cgroupProcesses(busy[0] ?? "", group)) signalPid(pid);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** Groups between the engine's and the container's, once they are empty; of systemd's groups only the container's own scope. */
async function removeParents(ctx: ContainerContext, id: string, group: string): Promise<readonly unknown[]> {
  let parent = group.slice(0, group.lastIndexOf("/"));
  while (parent.startsWith(`${ctx.cgroupRoot}/`) || scopeOwner(ctx.cgroupRoot, parent) === id) {
    try {
      if ((await removeCgroup(ctx.host.cgroup, parent)).length > 0) break;
    } catch (error) {
      return [error];
    }
    parent = parent.slice(0, parent.lastIndexOf("/"));
  }
  return [];
}

function signalPid(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // it has ended since the group was read
  }
}

function attempt(action: () => void): readonly unknown[] {
  try {
    action();
    return [];
  } catch (error) {
    return [error];
  }
}
