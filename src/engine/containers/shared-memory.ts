/** /dev/shm and the ipc namespace of a container, which others may share. Source: Docker's ipc modes. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { TscomposeError } from "../../errors.ts";
import { MNT_DETACH, mount, syscallErrno, umount } from "../../host/libc.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";
import { joinedContainer } from "./create/modes.ts";
import { joinable } from "./sandbox.ts";

export interface IpcPlan {
  readonly namespace: string;
  /** As in `MountPlan`. */
  readonly sharedMemory: string | undefined | null;
}

/** @throws container/wrong-status, request/invalid for a container that does not share */
export function prepareIpc(ctx: ContainerContext, container: Container): IpcPlan {
  const mode = container.record.hostConfig.IpcMode ?? "private";
  const ref = joinedContainer(mode);
  if (ref !== undefined) {
    const other = joinable(ctx, ref, "ipc");
    if (other.record.hostConfig.IpcMode !== "shareable") {
      throw new TscomposeError("request/invalid", `cannot join IPC of a container ${other.name}: non-shareable IPC`, {
        hint: 'create it with ipc mode "shareable"',
      });
    }
    return { namespace: `/proc/${other.state.process?.pid}/ns/ipc`, sharedMemory: sharedPath(other) };
  }
  switch (mode) {
    case "host":
      return { namespace: "host", sharedMemory: "/dev/shm" };
    case "none":
      return { namespace: "new", sharedMemory: null };
    case "shareable": {
      const path = sharedPath(container);
      mkdirSync(path, { recursive: true });
      mount("shm", path, {
        type: "tmpfs",
        flags: 0x2 | 0x4 | 0x8,
        data: `mode=1777,size=${container.record.hostConfig.ShmSize}`,
      });
      return { namespace: "new", sharedMemory: path };
    }
    default:
      return { namespace: "new", sharedMemory: undefined };
  }
}

export function releaseIpc(container: Container): void {
  if (container.record.hostConfig.IpcMode !== "shareable") return;
  try {
    umount(sharedPath(container), MNT_DETACH);
  } catch (error) {
    if (syscallErrno(error) !== "EINVAL" && syscallErrno(error) !== "ENOENT") throw error;
  }
}

const sharedPath = ({ paths }: Container): string => join(paths.bundle, "shm");
