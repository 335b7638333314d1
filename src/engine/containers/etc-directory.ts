/** The engine's own layer has a directory /etc, for the files that are mounted there, and so hides what the image says of its own one. */
import { chmodSync, chownSync, lstatSync, mkdirSync } from "node:fs";
import { join } from "node:path";

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Gives the layer to write on an /etc with the image's mode and owner, where those are not the engine's.
 *  @param layers of the image, highest first
 *  @param outside owners as the host has them */
export function keepEtc(upper: string, layers: readonly string[], outside: (owner: Owner) => Owner): void {
  for (const layer of layers) {
    const stat = lstatSync(join(layer, "etc"), { throwIfNoEntry: false });
    if (stat === undefined) continue;
    const mode = stat.mode & 0o7777;
    if (!stat.isDirectory() || (mode === 0o755 && stat.uid === 0 && stat.gid === 0)) return;
    const path = join(upper, "etc");
    const { uid, gid } = outside(stat);
    mkdirSync(path);
    chownSync(path, uid, gid);
    chmodSync(path, mode);
    return;
  }
}
