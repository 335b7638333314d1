import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

import type { ProjectLock } from "../compose/context.ts";
import { errnoOf, errorMessage, TscomposeError } from "../errors.ts";
import type { LockFile } from "../host/lock-file.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** A lock file a project in the run root, held with flock(2): it goes with the process however that ends. */
export function createProjectLock(environment: Environment, onWait: (message: string) => void): ProjectLock {
  return async (project, signal) => {
    const file = lockPath(environment, project);
    const { acquireLock } = await import("../host/lock-file.ts");
    let told = false;
    for (;;) {
      const lock = take(file, acquireLock);
      if (lock !== undefined) return () => lock.release();
      if (!told) onWait(`another command is changing project ${project}; waiting for it`);
      told = true;
      if (signal.aborted) throw new TscomposeError("aborted", `gave up waiting for project ${project}`);
      // flock has no time limit and would block the thread, so it is asked again.
      await pause(50);
    }
  };
}

/** Names are checked where they enter, but this one becomes part of a path: so it is hashed. Who is not root has no run root and
 *  drives another engine (`-H`). */
function lockPath(environment: Environment, project: string): string {
  const own = process.getuid?.() === 0 ? "/run/tscompose" : join(homedir(), ".cache", "tscompose");
  const name = createHash("sha256").update(project).digest("hex").slice(0, 32);
  return join(environment["TSCOMPOSE_RUN_ROOT"] || own, "projects", `${name}.lock`);
}

function take(file: string, acquireLock: (path: string) => LockFile | undefined): LockFile | undefined {
  try {
    try {
      return acquireLock(file);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
      makeFolder(dirname(file), 3);
      return acquireLock(file);
    }
  } catch (error) {
    throw new TscomposeError("host/permission", `cannot open the lock file ${file}: ${errorMessage(error)}`, {
      hint: "run as root, or set TSCOMPOSE_RUN_ROOT to a folder you can write",
      cause: error,
    });
  }
}

/** Makes at most so many levels. Node's own recursion never ends where the kernel says ENOENT to any mkdir, as in /proc. */
function makeFolder(path: string, levels: number): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return;
    if (errnoOf(error) !== "ENOENT" || levels <= 1) throw error;
    makeFolder(dirname(path), levels - 1);
    mkdirSync(path, { mode: 0o700 });
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}
