/** Paths that a container's content decides, looked up by the kernel within their root: where a mount would really land, and
 *  what a volume's subpath really is. Source: openat2(2); security.md E-01, E-03, E-10. */
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { TscomposeError } from "../../errors.ts";
import * as libc from "../../host/libc.ts";
import type { ResolvedMount } from "../containers/record.ts";
import { isReservedTarget } from "./mount-spec.ts";

/** Refuses mounts whose destination leads to a reserved place through symlinks of the image. Call with the container's root
 *  mounted at `rootfs`, before anything of it runs. @throws container/start-failed */
export function checkMountTargets(
  rootfs: string,
  mounts: readonly Pick<ResolvedMount, "Destination">[],
  privileged: boolean,
): void {
  const root = openSync(rootfs, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const rootPath = readlinkSync(`/proc/self/fd/${root}`);
    for (const { Destination } of mounts) {
      const real = placeInRoot(root, rootPath, Destination);
      if (real === Destination || !isReservedTarget(real, privileged)) continue;
      throw new TscomposeError(
        "container/start-failed",
        `the image leads the mount destination ${Destination} to ${real}`,
        {
          hint: "mount to a path that is not a symlink in the image",
        },
      );
    }
  } finally {
    closeSync(root);
  }
}

const maxLinks = 40;

/** Where `path` leads, seen from the root. A symlink is followed also where its target does not exist yet: it will, once the
 *  runtime has mounted /proc and /sys. The part that does not exist is taken literally. */
function placeInRoot(root: number, rootPath: string, path: string): string {
  const missing: string[] = [];
  let parts = path.split("/").filter((part) => part !== "");
  let links = 0;
  for (;;) {
    try {
      const fd = openInRoot(root, parts, libc.O_PATH);
      const real = readlinkSync(`/proc/self/fd/${fd}`).slice(rootPath === "/" ? 0 : rootPath.length);
      closeSync(fd);
      return join("/", real, ...missing);
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      const target = links < maxLinks ? linkTarget(root, parts) : undefined;
      const last = parts.pop();
      if (last === undefined) return join("/", ...missing);
      if (target === undefined) missing.unshift(last);
      else {
        links++;
        const from = target.startsWith("/") ? [] : parts;
        parts = [...from, ...target.split("/").filter((part) => part !== "")];
      }
    }
  }
}

function openInRoot(root: number, parts: readonly string[], flags: number): number {
  return libc.openat2(root, parts.join("/") || ".", {
    flags,
    resolve: libc.RESOLVE_IN_ROOT | libc.RESOLVE_NO_MAGICLINKS,
  });
}

const isUnreachable = (error: unknown): boolean =>
  ["ENOENT", "ENOTDIR", "ELOOP"].includes(libc.syscallErrno(error) ?? "");

/** What the last component says if it is a symlink. */
function linkTarget(root: number, parts: readonly string[]): string | undefined {
  const last = parts.at(-1);
  if (last === undefined || last === "." || last === "..") return undefined;
  let parent: number;
  try {
    parent = openInRoot(root, parts.slice(0, -1), libc.O_PATH | libc.O_DIRECTORY);
  } catch (error) {
    if (isUnreachable(error)) return undefined;
    throw error;
  }
  try {
    return readlinkSync(`/proc/self/fd/${parent}/${last}`);
  } catch {
    return undefined; // it is none, or is not there
  } finally {
    closeSync(parent);
  }
}

/** Binds `subpath` of a volume onto `stagingPath`, which it makes: the runtime is handed a path that nobody can swap.
 *  @returns how to take it away, after the runtime has made the container. @throws container/start-failed */
export function stageSubpath(volumeDir: string, subpath: string, stagingPath: string): () => void {
  const volume = openSync(volumeDir, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    const how = { flags: libc.O_PATH, resolve: libc.RESOLVE_BENEATH | libc.RESOLVE_NO_MAGICLINKS };
    const fd = libc.openat2(volume, subpath, how);
    try {
      const directory = fstatSync(fd).isDirectory();
      if (directory) mkdirSync(stagingPath, { mode: 0o700 });
      else writeFileSync(stagingPath, "", { flag: "wx", mode: 0o600 });
      libc.mount(`/proc/self/fd/${fd}`, stagingPath, { flags: libc.MS_BIND | libc.MS_REC });
      return () => {
        libc.umount(stagingPath, libc.MNT_DETACH);
        if (directory) rmdirSync(stagingPath);
        else rmSync(stagingPath);
      };
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const errno = libc.syscallErrno(error);
    if (errno === undefined) throw error;
    const reason = errno === "EXDEV" ? "it leads out of the volume" : errno;
    throw new TscomposeError(
      "container/start-failed",
      `cannot access the volume's subpath ${JSON.stringify(subpath)}: ${reason}`,
      {
        cause: error,
        hint: "the subpath must exist in the volume when the container starts",
      },
    );
  } finally {
    closeSync(volume);
  }
}
