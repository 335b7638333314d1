/** Removes containers: record first, so that a crash half-way leaves files that the next engine recognises as nobody's. */
import { mkdirSync, rmSync } from "node:fs";
import { rm } from "node:fs/promises";
import { errorMessage, TscomposeError } from "../../errors.ts";
import { containerAttributes } from "../events.ts";
import { takeStorageLimit } from "./storage-size.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";

/** @throws container/wrong-status for one that runs */
export function checkRemovable(container: Container): void {
  if (!container.alive && container.state.status !== "restarting") return;
  const state = container.state.status;
  const hint = state === "paused" ? "unpause and then stop the container" : "stop the container";
  throw new TscomposeError(
    "container/wrong-status",
    `cannot remove container "/${container.name}": container is ${state}: ${hint} before removing or force remove`,
    { hint: `${hint} first, or force the removal` },
  );
}

/** The container has no process. `volumes`: its anonymous ones too. What cannot be removed stays as a dead container, which can be
 *  removed again once the reason is gone. @throws engine/failed */
export function removeContainer(
  ctx: ContainerContext,
  container: Container,
  options: { readonly volumes: boolean },
): Promise<void> {
  const underWay = removals.get(container);
  if (underWay !== undefined) return underWay;
  const removal = remove(ctx, container, options).finally(() => removals.delete(container));
  removals.set(container, removal);
  return removal;
}

/** Auto-remove and `rm -f` may meet: both get the one removal. */
const removals = new WeakMap<Container, Promise<void>>();

async function remove(
  ctx: ContainerContext,
  container: Container,
  options: { readonly volumes: boolean },
): Promise<void> {
  const { paths, record } = container;
  container.update({ status: "removing" });
  await container.forget();
  rmSync(paths.record, { force: true });
  const freeLimit = takeStorageLimit(container, ctx.roots.dataRoot);
  const attempts = [paths.bundle, paths.dir].map((path) => rm(path, { recursive: true, force: true }));
  const failed = (await Promise.allSettled(attempts)).find((result) => result.status === "rejected");
  if (failed !== undefined) throw leftDead(container, failed.reason);
  freeLimit();
  ctx.images.release(record.imageId, container.id);
  ctx.registry.delete(container);
  ctx.rootfs.forget(container);
  if (options.volumes) await removeAnonymousVolumes(ctx, container);
  const attributes = containerAttributes(record);
  ctx.publish({ type: "container", action: "destroy", id: container.id, attributes });
  container.markRemoved();
}

function leftDead(container: Container, cause: unknown): TscomposeError {
  const { paths } = container;
  const reason = errorMessage(cause);
  mkdirSync(paths.dir, { recursive: true, mode: 0o700 });
  container.update({ status: "dead", error: reason });
  container.persist();
  return new TscomposeError("engine/failed", `container ${container.name}: unable to remove filesystem: ${reason}`, {
    cause,
    hint: "see what holds its files, and remove it again",
  });
}

async function removeAnonymousVolumes(ctx: ContainerContext, container: Container): Promise<void> {
  for (const { Type, Name, anonymous } of container.record.mounts) {
    if (Type !== "volume" || Name === undefined || !anonymous) continue;
    try {
      await ctx.volumes.remove(Name, true);
    } catch (error) {
      ctx.log("info", `volume ${Name} of container ${container.name} stays: ${errorMessage(error)}`);
    }
  }
}
