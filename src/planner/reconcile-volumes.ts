import { TscomposeError } from "../errors.ts";
import { volumeConfigHash } from "../spec/config-hash.ts";
import type { Volume } from "../spec/model.ts";

import { volumeCreateBody } from "./create-body/resources-of-project.ts";
import type { ObservedVolume } from "./observed.ts";
import { existing, planStop, type ReconcileContext } from "./reconcile-context.ts";

/** Every volume of the project exists afterwards, and `context.volumes` knows it by key. One whose definition has changed is
 *  kept, and asked about, unless `options.replaceVolumes` names it: replacing loses its data.
 *  @throws volume/not-found for an external one that is not there. */
export function reconcileVolumes(context: ReconcileContext): void {
  const { project, observed } = context;
  for (const [key, volume] of Object.entries(project.volumes).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const name = volume.name ?? key;
    const live = observed.volumes.find((one) => one.name === name);
    if (live !== undefined) {
      keepOrReplace(context, key, volume, live);
      continue;
    }
    if (volume.external === true) {
      throw new TscomposeError("volume/not-found", `external volume "${name}" not found`, {
        hint: `create it first, or drop "external" to have it made for the project`,
      });
    }
    const former = observed.volumes.find((one) => one.project === project.name && one.key === key);
    create(context, key, volume, former === undefined ? "does not exist" : `renamed; ${former.name} is kept`);
  }
}

function keepOrReplace(context: ReconcileContext, key: string, volume: Volume, live: ObservedVolume): void {
  const { project, options } = context;
  context.volumes.set(key, { name: live.name, live, node: undefined });
  if (volume.external === true) return;
  if (live.project !== project.name) {
    const origin =
      live.project === undefined ? "was not created by compose" : `was created for project "${live.project}"`;
    context.warnings.push(`volume ${live.name} exists but ${origin}; set "external: true" to use an existing volume`);
    return;
  }
  if (live.configHash === undefined || live.configHash === volumeConfigHash(volume)) return;
  if (options.replaceVolumes.has(key)) replace(context, key, volume, live);
  else context.confirmations.push({ key, name: live.name });
}

function create(
  context: ReconcileContext,
  key: string,
  volume: Volume,
  cause: string,
  after: readonly number[] = [],
): void {
  const body = volumeCreateBody(context.project, key, volume);
  const name = body.Name ?? key;
  context.volumes.set(key, {
    name,
    live: undefined,
    node: context.plan.add({ kind: "create-volume", name, body, cause }, after),
  });
}

/** The engine refuses to remove a volume that any container refers to, even a stopped one: so those go first. */
function replace(context: ReconcileContext, key: string, volume: Volume, live: ObservedVolume): void {
  const cause = `definition of volume ${key} changed`;
  const users = context.observed.containers.filter((container) =>
    container.mounts.some((mount) => mount.Type === "volume" && mount.Name === live.name),
  );
  const gone = users.map((container) => {
    const planned = context.evictions.get(container.id);
    if (planned !== undefined) return planned;
    const node = context.plan.add(
      {
        kind: "remove-container",
        service: container.service,
        container: existing(container),
        force: true,
        volumes: false,
        cause,
      },
      [planStop(context, container, cause)],
    );
    context.evictions.set(container.id, node);
    return node;
  });
  const removed = context.plan.add({ kind: "remove-volume", name: live.name, anonymous: false, cause }, gone);
  create(context, key, volume, cause, [removed]);
}
