import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { directorySize } from "../../volumes/directory-size.ts";

/** Removes directories by name, but none that is in use. */
export async function removeDirectories(
  parent: string,
  names: ReadonlySet<string>,
  inUse: (name: string) => boolean,
): Promise<{ readonly deleted: readonly string[]; readonly bytes: number }> {
  const deleted: string[] = [];
  let bytes = 0;
  for (const name of names) {
    const path = join(parent, name);
    // Names come from a listing of several parents.
    if (inUse(name) || !existsSync(path)) continue;
    const size = await directorySize(path);
    if (inUse(name)) continue;
    await rm(path, { recursive: true, force: true });
    deleted.push(name);
    bytes += size;
  }
  return { deleted, bytes };
}
