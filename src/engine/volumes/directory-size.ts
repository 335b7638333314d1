/** How much a directory takes. */
import { closeSync, constants, openSync } from "node:fs";
import { errnoOf } from "../../errors.ts";
import { listAt, openDirectoryAt, statAt } from "../../host/directory.ts";

/** Sum of the sizes of the files below `path`, each hard-linked file once, symlinks not followed; 0 when there is none. */
export async function directorySize(path: string): Promise<number> {
  let root: number;
  try {
    root = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return 0;
    throw error;
  }
  const walk: Walk = { seen: new Set(), size: 0, entries: 0 };
  await addDirectory(root, walk, 0);
  return walk.size;
}

interface Walk {
  readonly seen: Set<string>;
  size: number;
  entries: number;
}

/** Deeper than this nothing is counted: each level holds a descriptor. */
const maxDepth = 256;

async function addDirectory(fd: number, walk: Walk, depth: number): Promise<void> {
  try {
    for (const name of listAt(fd)) {
      walk.entries++;
      if (walk.entries % 1024 === 0) await new Promise((resolve) => setImmediate(resolve));
      const stat = statAt(fd, name);
      if (stat === undefined) continue;
      if (stat.isDirectory()) {
        const child = depth < maxDepth ? openDirectoryAt(fd, name) : undefined;
        if (child !== undefined) await addDirectory(child, walk, depth + 1);
        continue;
      }
      const identity = `${stat.dev}:${stat.ino}`;
      if (stat.nlink > 1n && walk.seen.has(identity)) continue;
      if (stat.nlink > 1n) walk.seen.add(identity);
      walk.size += Number(stat.size);
    }
  } finally {
    closeSync(fd);
  }
}
