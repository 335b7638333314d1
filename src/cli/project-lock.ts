import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";

import type { ProjectLock } from "../compose/context.ts";
import { errnoOf, errorMessage, TscomposeError } from "../errors.ts";

/** A lock file a project in the run root, held with flock(2): it goes with the process however that ends. */
export function createProjectLock(
  environment: Readonly<Record<string, string | undefined>>,
  onWait: (message: string) => void,
): ProjectLock {
  const folder = join(environment["TSCOMPOSE_RUN_ROOT"] ?? "/run/tscompose", "projects");
  return async (project, signal) => {
    // Names are checked where they enter, but this one becomes part of a path.
    const file = join(folder, `${createHash("sha256").update(project).digest("hex").slice(0, 32)}.lock`);
    const [{ flock, LOCK_EX, LOCK_NB, LOCK_UN }, handle] = await Promise.all([
      import("../host/libc.ts"),
      openLock(folder, file),
    ]);
    let told = false;
    while (!flock(handle.fd, LOCK_EX | LOCK_NB)) {
      if (!told) onWait(`another command is changing project ${project}; waiting for it`);
      told = true;
      // flock has no time limit and would block the thread, so it is asked again.
      await pause(50);
      if (!signal.aborted) continue;
      await handle.close();
      throw new TscomposeError("aborted", `gave up waiting for project ${project}`);
    }
    return () => {
      flock(handle.fd, LOCK_UN);
      void handle.close();
    };
  };
}

async function openLock(folder: string, file: string): Promise<Awaited<ReturnType<typeof open>>> {
  const flags = constants.O_CREAT | constants.O_RDWR | constants.O_NOFOLLOW;
  try {
    try {
      return await open(file, flags, 0o600);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
      await mkdir(folder, { recursive: true, mode: 0o700 });
      return await open(file, flags, 0o600);
    }
  } catch (error) {
    throw new TscomposeError("host/permission", `cannot open the lock file ${file}: ${errorMessage(error)}`, {
      hint: "run as root, or set TSCOMPOSE_RUN_ROOT to a folder you can write",
      cause: error,
    });
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}
