import type { VolumeInspect } from "../api/wire.ts";
import { label } from "../planner/labels.ts";
import { observeContainers } from "../planner/observe.ts";

import type { ComposeContext, ProjectReference } from "./context.ts";
import { checkServices } from "./select.ts";

/** Volumes that bear the project's label, by name; with services only those that containers of these mount. */
export async function volumes(
  context: ComposeContext,
  reference: ProjectReference,
  services: readonly string[],
): Promise<readonly VolumeInspect[]> {
  const filters = { label: [`${label.project}=${reference.name}`] };
  const [found, containers] = await Promise.all([
    context.docker.listVolumes({ filters, abortSignal: context.signal }),
    observeContainers(context.docker, reference.name, context.signal),
  ]);
  checkServices(reference, containers, services);
  const mounted = new Set(
    containers
      .filter(({ service }) => services.includes(service))
      .flatMap(({ mounts }) => mounts.map(({ Name }) => Name)),
  );
  return (found.Volumes ?? [])
    .filter(({ Name }) => services.length === 0 || mounted.has(Name))
    .toSorted((a, b) => (a.Name < b.Name ? -1 : 1));
}
