/** The files of one container's log. `<path>` is the one that conmon writes; when it is full, conmon puts a new one in its place.
 *  Each has a second name, `<path>.<n>` with n growing, given by the engine, so that it stays when it is replaced. */
import { close, closeSync, linkSync, openSync, readdirSync, renameSync, statSync, unlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { errnoOf } from "../../errors.ts";
import type { LogBounds } from "./log-config.ts";

export interface LogFile {
  readonly path: string;
  /** Undefined: written now, and without a second name so far. */
  readonly number: number | undefined;
  readonly inode: string;
}

/** Oldest first; the last one is what conmon writes now, or wrote last. */
export function listLogFiles(path: string): readonly LogFile[] {
  const numbered = numberedFiles(path);
  const current = inodeOf(path);
  const known = current === undefined || numbered.some(({ inode }) => inode === current);
  return known ? numbered : [...numbered, { path, number: undefined, inode: current }];
}

function numberedFiles(path: string): LogFile[] {
  const prefix = `${basename(path)}.`;
  const files: LogFile[] = [];
  for (const name of readdirSync(dirname(path))) {
    const number = name.startsWith(prefix) ? name.slice(prefix.length) : "";
    if (!/^\d{1,15}$/.test(number)) continue;
    const file = join(dirname(path), name);
    const inode = inodeOf(file);
    if (inode !== undefined) files.push({ path: file, number: Number(number), inode });
  }
  return files.toSorted((a, b) => (a.number ?? 0) - (b.number ?? 0));
}

function inodeOf(path: string): string | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`;
}

/** Gives the file that is written now its second name, and removes the oldest beyond the bound. Safe at any time.
 *  `rotations`: new files that conmon has begun since the last call, as far as known; the numbers count them, so that a file which
 *  came and went too fast to be kept leaves a gap. */
export function keepLogFiles(path: string, bounds: LogBounds, rotations = 0): void {
  const files = listLogFiles(path);
  const last = files.at(-1);
  if (last !== undefined && last.number === undefined) {
    const number = (files.at(-2)?.number ?? 0) + Math.max(1, rotations);
    ignoring(["ENOENT", "EEXIST"], () => linkSync(path, `${path}.${number}`));
  } else if (last?.number !== undefined && rotations > 0) {
    // It was kept before its own turn was counted.
    ignoring(["ENOENT"], () => renameSync(last.path, `${path}.${(last.number ?? 0) + rotations}`));
  }
  for (const file of numberedFiles(path).slice(0, -bounds.maxFiles)) ignoring(["ENOENT"], () => discard(file.path));
}

/** The name goes now, and the space a little later: to free that of a large file takes so long that the engine must not wait. */
function discard(path: string): void {
  const fd = openSync(path, "r");
  try {
    unlinkSync(path);
  } finally {
    close(fd);
  }
}

/** Call before conmon starts: it counts from zero, whatever the file holds already. A file that is half full is closed. */
export function prepareLogFiles(path: string, bounds: LogBounds): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined || bounds.maxBytes === undefined || size * 2 < bounds.maxBytes) {
    if (size === undefined) closeSync(openSync(path, "a", 0o600));
    return keepLogFiles(path, bounds);
  }
  keepLogFiles(path, bounds);
  unlinkSync(path);
  closeSync(openSync(path, "ax", 0o600));
  keepLogFiles(path, bounds);
}

function ignoring(errnos: readonly string[], action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!errnos.includes(errnoOf(error) ?? "")) throw error;
  }
}
