/** Images for tests that need no registry. */
import { execFile } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, renameSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const repository = resolve(import.meta.dirname, "../..");
const cache = join(repository, ".cache/images");

/** Copies a docker archive of Debian's busybox into `dir`: applets as symlinks in /bin; root, app (1000:1000, also in group
 *  extra) and nobody in /etc/passwd. Built once into .cache/, then copied. @returns the path of the archive */
export async function makeBusyboxArchive(dir: string, tag = "busybox:latest"): Promise<string> {
  const cached = join(cache, `busybox-${encodeURIComponent(tag)}.tar`);
  if (!existsSync(cached)) {
    mkdirSync(cache, { recursive: true });
    const part = `${cached}.${process.pid}`;
    await run(join(repository, "scripts/busybox-image"), [part, tag]);
    renameSync(part, cached);
  }
  const target = join(dir, "busybox.tar");
  copyFileSync(cached, target);
  return target;
}
