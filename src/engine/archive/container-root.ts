/** A container's files as the container sees them, through one open directory: of a running one by its process, of another one by
 *  its root, mounted for the purpose, with its volumes and binds. */
import { closeSync, constants, openSync, statSync } from "node:fs";
import { errorMessage, TscomposeError } from "../../errors.ts";
import { creatingAs, ownerOutside } from "../../host/id-map.ts";
import * as libc from "../../host/libc.ts";
import { isAlive } from "../../host/process-identity.ts";
import type { Container } from "../containers/container.ts";
import type { ResolvedMount } from "../containers/record.ts";
import type { RootFilesystems } from "../containers/rootfs.ts";
import type { UserNamespaces } from "../containers/user-namespaces.ts";
import { ensureDirectoryInRoot } from "../runtime/user-files.ts";
import type { Volumes } from "../volumes/volumes.ts";
import { isMissing, openPath } from "./in-root.ts";

export interface ContainerRoot {
  /** The container's "/". */
  readonly fd: number;
  /** Gives everything back. Idempotent. @returns what went wrong */
  close(): Promise<readonly unknown[]>;
}

export interface RootContext {
  readonly rootfs: Pick<RootFilesystems, "acquire" | "release">;
  readonly volumes: Pick<Volumes, "acquire" | "release">;
  readonly userNamespaces: Pick<UserNamespaces, "bind">;
}

/** `withMounts` false: only what is in the container's own layers. @throws container/wrong-status, host/syscall-failed */
export async function openContainerRoot(
  ctx: RootContext,
  container: Container,
  options: { readonly withMounts: boolean },
): Promise<ContainerRoot> {
  const running = openRunning(container);
  if (running !== undefined) return { fd: running, close: closeOnce(() => [() => closeSync(running)]) };
  const path = await ctx.rootfs.acquire(container);
  const undo: (() => void | Promise<void>)[] = [() => ctx.rootfs.release(container)];
  const close = closeOnce(() => undo.splice(0).toReversed());
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    undo.push(() => closeSync(fd));
    const mounts = options.withMounts ? container.record.mounts : [];
    for (const mount of mounts) await bindMount(ctx, container, { path, root: fd, mount, undo });
    return { fd, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The descriptor belongs to that very process if it still lives once it is open. */
function openRunning(container: Container): number | undefined {
  const { process } = container.state;
  if (!container.alive || process === undefined) return undefined;
  let fd: number;
  try {
    fd = openSync(`/proc/${process.pid}/root`, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch {
    return undefined; // it is just ending
  }
  if (isAlive(process)) return fd;
  closeSync(fd);
  return undefined;
}

/** Shows a volume or a bind at its destination, in the engine's own mount namespace. */
async function bindMount(
  ctx: RootContext,
  container: Container,
  step: {
    readonly path: string;
    readonly root: number;
    readonly mount: ResolvedMount;
    readonly undo: (() => void | Promise<void>)[];
  },
): Promise<void> {
  const { mount, root, undo } = step;
  if ((mount.Type !== "volume" && mount.Type !== "bind") || mount.subpath !== undefined) return;
  const { Name } = mount;
  let source = mount.Source;
  if (mount.Type === "volume" && Name !== undefined) {
    const holder = `${container.id}:files`;
    const { Destination, RW, Propagation } = mount;
    source = await ctx.volumes.acquire(Name, {
      containerId: holder,
      destination: Destination,
      readWrite: RW,
      propagation: Propagation,
    });
    undo.push(() => ctx.volumes.release(Name, holder));
  }
  const stat = statSync(source, { throwIfNoEntry: false });
  if (stat === undefined) return; // a bind whose source is gone: the start will say so
  const map = container.record.userNamespace;
  const owner = map === undefined ? undefined : ownerOutside(map, { uid: 0, gid: 0 });
  if (stat.isDirectory()) creatingAs(owner, () => ensureDirectoryInRoot(step.path, mount.Destination));
  const target = openTarget(root, mount.Destination);
  if (target === undefined) return;
  try {
    const place = `/proc/self/fd/${target}`;
    if (map === undefined || !(await ctx.userNamespaces.bind(map, source, place))) {
      libc.mount(source, place, { flags: libc.MS_BIND | libc.MS_REC });
    }
  } finally {
    closeSync(target);
  }
  undo.push(() => unmountAt(root, mount.Destination));
}

function openTarget(root: number, path: string): number | undefined {
  try {
    return openPath(root, path);
  } catch (error) {
    if (isMissing(error)) return undefined; // the place of a single file that was never made
    throw error;
  }
}

function unmountAt(root: number, path: string): void {
  const fd = openPath(root, path);
  try {
    libc.umount(`/proc/self/fd/${fd}`, libc.MNT_DETACH);
  } finally {
    closeSync(fd);
  }
}

function closeOnce(steps: () => readonly (() => void | Promise<void>)[]): () => Promise<readonly unknown[]> {
  let closed = false;
  return async () => {
    if (closed) return [];
    closed = true;
    const problems: unknown[] = [];
    for (const step of steps()) {
      try {
        await step();
      } catch (error) {
        problems.push(
          new TscomposeError("host/syscall-failed", `closing the container's files: ${errorMessage(error)}`, {
            cause: error,
          }),
        );
      }
    }
    return problems;
  };
}
