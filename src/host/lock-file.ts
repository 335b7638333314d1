/** Locks that die with their holder: flock(2) on a file that is never removed, for removing it would let two holders lock two
 *  files of one name. */
import { closeSync, openSync } from "node:fs";
import { LOCK_EX, LOCK_NB, flock } from "./libc.ts";

export interface LockFile {
  /** Idempotent. */
  release(): void;
}

/** Takes the lock, making the file (0600) where it is missing. Undefined: somebody else holds it. */
export function acquireLock(path: string): LockFile | undefined {
  const fd = openSync(path, "a+", 0o600);
  let held = false;
  try {
    held = flock(fd, LOCK_EX | LOCK_NB);
  } finally {
    if (!held) closeSync(fd);
  }
  if (!held) return undefined;
  return {
    release() {
      if (held) closeSync(fd);
      held = false;
    },
  };
}
