/** Overlay mounts of any number of layers. Source: Linux filesystems/overlayfs, mount(2): options fit one page. */
import { closeSync, openSync } from "node:fs";
import { constants } from "node:fs";
import { TscomposeError } from "../errors.ts";
import { MNT_DETACH, mount, O_PATH, syscallErrno, umount, umountLater } from "./libc.ts";

export interface OverlayLayers {
  /** Highest first. */
  readonly lower: readonly string[];
  /** Without them the mount is read-only. */
  readonly upper?: string;
  readonly work?: string;
}

/** The kernel takes one page, the NUL included. */
const maxOptionBytes = 4095;

/** Mounts on `target`. @throws host/syscall-failed, image/invalid for more layers than the kernel takes */
export function mountOverlay(layers: OverlayLayers, target: string): void {
  const plain = overlayOptions(layers);
  if (Buffer.byteLength(plain) <= maxOptionBytes) {
    mount("overlay", target, { type: "overlay", data: plain });
    return;
  }
  // Descriptors make short paths of any directories.
  const fds: number[] = [];
  try {
    const short = (path: string): string => {
      const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | O_PATH);
      fds.push(fd);
      return `/proc/self/fd/${fd}`;
    };
    const options = overlayOptions({ ...layers, lower: layers.lower.map(short) });
    if (Buffer.byteLength(options) > maxOptionBytes) {
      throw new TscomposeError("image/invalid", `too many layers to mount: ${layers.lower.length}`, {
        hint: "build the image with fewer layers",
      });
    }
    mount("overlay", target, { type: "overlay", data: options });
  } finally {
    fds.forEach((fd) => closeSync(fd));
  }
}

/** What is not mounted is fine. */
export function unmountOverlay(target: string): void {
  try {
    umount(target, MNT_DETACH);
  } catch (error) {
    if (syscallErrno(error) !== "EINVAL" && syscallErrno(error) !== "ENOENT") throw error;
  }
}

/** As `unmountOverlay`, off the main thread: an overlay takes a few milliseconds to go. */
export async function unmountOverlayLater(target: string): Promise<void> {
  try {
    await umountLater(target, MNT_DETACH);
  } catch (error) {
    if (syscallErrno(error) !== "EINVAL" && syscallErrno(error) !== "ENOENT") throw error;
  }
}

/** ":" and "," part the options, "\" quotes. */
const quote = (path: string): string => path.replaceAll(/[\\:,]/g, (character) => `\\${character}`);

/** The kernel refuses a directory that is there twice. The higher one says all that the lower one does. */
export function overlayOptions({ lower, upper, work }: OverlayLayers): string {
  const parts = [`lowerdir=${[...new Set(lower)].map(quote).join(":")}`];
  if (upper !== undefined && work !== undefined) parts.push(`upperdir=${quote(upper)}`, `workdir=${quote(work)}`);
  return parts.join(",");
}
