/** From a bundle to a process that waits for its release, and from there to one that runs. Source: conmon(8); crun and runc keep
 *  the process waiting on `<state dir>/<id>/exec.fifo`. */
import { closeSync, constants, existsSync, openSync, readFileSync, unlinkSync, writeSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf, TscomposeError } from "../../errors.ts";
import { runCommand } from "../../host/command.ts";
import { startMonitor } from "../../host/monitor.ts";
import { identifyProcess, type ProcessIdentity } from "../../host/process-identity.ts";
import type { ContainerPaths } from "../containers/paths.ts";
import { runtimeCommand, type OciRuntime } from "./oci-runtime.ts";

export interface LaunchRequest {
  readonly id: string;
  readonly paths: ContainerPaths;
  readonly exitDir: string;
  readonly conmon: string;
  readonly terminal: boolean;
  readonly stdin: boolean;
  /** Nobody closes stdin when a client leaves. */
  readonly leaveStdinOpen: boolean;
  /** What tells conmon where output goes. */
  readonly logArguments: readonly string[];
}

export interface Launched {
  readonly process: ProcessIdentity;
  readonly monitor: ProcessIdentity;
}

/** The bundle is complete. @throws container/start-failed with the runtime's words */
export async function createProcess(runtime: OciRuntime, request: LaunchRequest): Promise<Launched> {
  const { paths } = request;
  const pid = await startMonitor(monitorArgv(runtime, request));
  const monitorPid = Number(readFileSync(paths.monitorPidFile, "latin1"));
  const process = identifyProcess(pid);
  const monitor = identifyProcess(monitorPid);
  if (process === undefined || monitor === undefined) {
    throw new TscomposeError("container/start-failed", "the container's process ended before it was started");
  }
  return { process, monitor };
}

export function monitorArgv(runtime: OciRuntime, request: LaunchRequest): readonly string[] {
  const { paths } = request;
  const [path = "", ...globals] = runtimeCommand(runtime);
  const options = {
    "--cid": request.id,
    "--cuuid": request.id,
    "--name": request.id,
    "--runtime": path,
    "--bundle": paths.bundle,
    "--persist-dir": paths.bundle,
    "--container-pidfile": paths.processPidFile,
    "--conmon-pidfile": paths.monitorPidFile,
    "--exit-dir": request.exitDir,
    "--log-level": "error",
  };
  return [
    request.conmon,
    ...Object.entries(options).flat(),
    ...globals.flatMap((option) => ["--runtime-arg", option]),
    "--full-attach",
    ...request.logArguments,
    ...(request.terminal ? ["--terminal"] : []),
    ...(request.stdin ? ["--stdin"] : []),
    ...(request.stdin && request.leaveStdinOpen ? ["--leave-stdin-open"] : []),
  ];
}

export function isWaiting(runtime: OciRuntime, id: string): boolean {
  return existsSync(fifoPath(runtime, id));
}

const fifoPath = (runtime: OciRuntime, id: string): string => join(runtime.stateDir, id, "exec.fifo");
const releaseDeadlineMs = 10_000;

/** Lets the waiting process execute its program. crun's `start` does no more than this, and takes some 5 ms of CPU for it. */
export async function releaseProcess(runtime: OciRuntime, id: string): Promise<void> {
  if (runtime.name !== "crun") {
    await runCommand([...runtimeCommand(runtime), "start", id]);
    return;
  }
  const fifo = fifoPath(runtime, id);
  const fd = await openForWriting(fifo);
  try {
    unlinkSync(fifo);
    writeSync(fd, Buffer.of(0));
  } finally {
    closeSync(fd);
  }
}

/** The other side may not have opened it yet: ENXIO. */
async function openForWriting(fifo: string): Promise<number> {
  const deadline = performance.now() + releaseDeadlineMs;
  for (;;) {
    try {
      return openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch (error) {
      if (errnoOf(error) !== "ENXIO" || performance.now() > deadline) {
        throw new TscomposeError("container/start-failed", "the container's process does not wait for its start", {
          cause: error,
        });
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Forgets the runtime's state of a container that has ended. */
export async function removeRuntimeState(runtime: OciRuntime, id: string): Promise<void> {
  await rm(join(runtime.stateDir, id), { recursive: true, force: true });
}
