/** The user's mounts, made ready for the runtime: volumes held and filled, images mounted, subpaths pinned. */
import { mkdirSync, rmdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mountOverlay, unmountOverlay } from "../../host/overlay.ts";
import type { UndoStack } from "../../host/undo-stack.ts";
import { checkMountTargets, stageSubpath } from "../volumes/mount-paths.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";
import type { ResolvedMount } from "./record.ts";
import { unmountIdMapped } from "./user-namespaces.ts";

export interface PreparedMounts {
  /** With their sources ready. */
  readonly mounts: readonly ResolvedMount[];
  /** What only the runtime needed while it made the container: call when it has. */
  readonly unstage: () => void;
}

/** The root is mounted at `rootfs`. Steps to undo go on `undo`. @throws container/start-failed, volume/not-found, ... */
export async function prepareMounts(
  ctx: ContainerContext,
  container: Container,
  at: { readonly rootfs: string; readonly undo: UndoStack },
): Promise<PreparedMounts> {
  const { mounts, hostConfig } = container.record;
  if (mounts.length === 0) return { mounts, unstage: () => undefined };
  checkMountTargets(at.rootfs, mounts, hostConfig.Privileged === true);
  const staged: (() => void)[] = [];
  at.undo.defer("staged mounts", () => staged.splice(0).forEach((unstage) => unstage()));
  const ready: ResolvedMount[] = [];
  for (const [index, mount] of mounts.entries()) {
    const stagingPath = join(container.paths.bundle, `mount-${index}`);
    const plain = await sourceOf(ctx, container, { mount, stagingPath, ...at, staged });
    const source = await stageOwners(ctx, container, { mount, plain, stagingPath: `${stagingPath}-owners`, staged });
    ready.push({ ...mount, Source: source, options: optionsFor(mount, source) });
  }
  return { mounts: ready, unstage: () => staged.splice(0).forEach((unstage) => unstage()) };
}

/** What a container in a user namespace gets to see of the host shows its owners as that namespace has them. */
async function stageOwners(
  ctx: ContainerContext,
  container: Container,
  step: {
    readonly mount: ResolvedMount;
    readonly plain: string;
    readonly stagingPath: string;
    readonly staged: (() => void)[];
  },
): Promise<string> {
  const { mount, plain, stagingPath, staged } = step;
  const map = container.record.userNamespace;
  if (map === undefined || (mount.Type !== "bind" && mount.Type !== "volume")) return plain;
  const directory = isDirectory(plain);
  if (directory) mkdirSync(stagingPath, { mode: 0o700 });
  else writeFileSync(stagingPath, "", { flag: "wx", mode: 0o600 });
  staged.push(() => {
    unmountIdMapped(stagingPath);
    if (directory) rmdirSync(stagingPath);
    else rmSync(stagingPath);
  });
  if (await ctx.userNamespaces.bind(map, plain, stagingPath)) return stagingPath;
  ctx.log(
    "warn",
    `container ${container.name}: ${mount.Destination}: the file system of ${mount.Source} has no idmapped mounts; ` +
      "its files belong to nobody there",
  );
  return plain;
}

/** Recursively read-only means nothing for a file, and crun (1.8) refuses it there: it opens the target as a directory. */
function optionsFor(mount: ResolvedMount, source: string): readonly string[] {
  if (!mount.options.includes("rro") || isDirectory(source)) return mount.options;
  return mount.options.map((option) => (option === "rro" ? "ro" : option));
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

async function sourceOf(
  ctx: ContainerContext,
  container: Container,
  step: {
    readonly mount: ResolvedMount;
    readonly stagingPath: string;
    readonly rootfs: string;
    readonly undo: UndoStack;
    readonly staged: (() => void)[];
  },
): Promise<string> {
  const { mount, stagingPath, staged } = step;
  if (mount.Type === "volume" && mount.Name !== undefined) {
    const name = mount.Name;
    const source = await ctx.volumes.acquire(name, {
      containerId: container.id,
      destination: mount.Destination,
      readWrite: mount.RW,
      propagation: mount.Propagation,
    });
    step.undo.defer(`volume ${name}`, () => ctx.volumes.release(name, container.id));
    if (mount.copyUp) {
      await ctx.volumes.copyUp(name, { rootfs: step.rootfs, map: container.record.userNamespace }, mount.Destination);
    }
    if (mount.subpath === undefined) return source;
    staged.push(stageSubpath(source, mount.subpath, stagingPath));
    return stagingPath;
  }
  if (mount.Type === "image" && mount.Name !== undefined) {
    const imageDir = `${stagingPath}-image`;
    mkdirSync(imageDir, { mode: 0o700 });
    // Two lower directories at least: a read-only overlay of one is refused.
    const map = container.record.userNamespace;
    const layers = ctx.images
      .resolve(mount.Name)
      .layerDirs.toReversed()
      .map((path) => ctx.userNamespaces.shifted(map, path));
    const empty = `${stagingPath}-empty`;
    mkdirSync(empty, { mode: 0o755 });
    mountOverlay({ lower: [...layers, empty] }, imageDir);
    staged.push(() => unmountOverlay(imageDir));
    if (mount.subpath === undefined) return imageDir;
    staged.push(stageSubpath(imageDir, mount.subpath, stagingPath));
    return stagingPath;
  }
  return mount.Source;
}

/** After the container has ended. @returns what went wrong */
export async function releaseMounts(ctx: ContainerContext, container: Container): Promise<readonly unknown[]> {
  const names = new Set(container.record.mounts.flatMap(({ Type, Name }) => (Type === "volume" && Name ? [Name] : [])));
  const results = await Promise.allSettled([...names].map((name) => ctx.volumes.release(name, container.id)));
  return results.flatMap((result) => (result.status === "rejected" ? [result.reason as unknown] : []));
}
