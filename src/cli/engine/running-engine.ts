/** The engine process of a run root, found by its lock and pid file. */
import { readFileSync } from "node:fs";
import { TscomposeError, errnoOf } from "../../errors.ts";
import { acquireLock } from "../../host/lock-file.ts";
import { identifyProcess, isAlive } from "../../host/process-identity.ts";
import type { ProcessIdentity } from "../../host/process-identity.ts";
import type { EngineRoots } from "./roots.ts";

/** Undefined: none runs. The lock says whether one does; the pid file only who it is.
 *  @throws host/permission when the lock may not be read. */
export function findEngine(roots: EngineRoots): ProcessIdentity | undefined {
  const identity = readIdentity(roots.pidPath);
  if (identity === undefined || !isAlive(identity)) return undefined;
  return isLocked(roots.lockPath) ? identity : undefined;
}

function readIdentity(path: string): ProcessIdentity | undefined {
  try {
    const [pid = "", startTime = "", bootId = ""] = readFileSync(path, "utf8").trim().split(" ");
    return { pid: Number(pid), startTime, bootId };
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Whether somebody holds the lock; a lock file that is missing is held by nobody. */
export function isLocked(path: string): boolean {
  try {
    const lock = acquireLock(path);
    lock?.release();
    return lock === undefined;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    if (errnoOf(error) !== "EACCES") throw error;
    throw new TscomposeError("host/permission", `no permission to look at the engine's lock ${path}`, {
      cause: error,
      hint: "run the command as root",
    });
  }
}

/** Asks it to leave and waits until it has. Containers go on. @returns false when it still runs after `timeoutMs`. */
export async function stopEngine(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  if (identifyProcess(identity.pid)?.startTime !== identity.startTime) return true;
  process.kill(identity.pid, "SIGTERM");
  const deadline = performance.now() + timeoutMs;
  while (isAlive(identity)) {
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return true;
}
