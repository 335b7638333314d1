/** Directories with their parents. Node's own recursion never ends where the kernel answers ENOENT although the parent is
 *  there, as in /proc: a path that a client may choose must not go there. */
import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { errnoOf } from "../errors.ts";

/** One that is there already is left as it is. `mode` goes to every directory that is made. */
export function makeDirectories(path: string, mode = 0o777): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (errnoOf(error) === "EEXIST" && statSync(path).isDirectory()) return;
    if (errnoOf(error) !== "ENOENT" || dirname(path) === path || existsSync(dirname(path))) throw error;
    makeDirectories(dirname(path), mode);
    mkdirSync(path, { mode });
  }
}
