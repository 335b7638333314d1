import type { ContainerInspect, ImageInspect } from "../api/wire.ts";
import type { Docker } from "../client/docker.ts";
import { isTscomposeError } from "../errors.ts";

import { label } from "./labels.ts";
import {
  observedContainer,
  observedImage,
  observedNetwork,
  observedVolume,
  type ObservedContainer,
  type ObservedImage,
  type ObservedState,
} from "./observed.ts";

export interface ObserveRequest {
  readonly project: string;
  /** References to look at; none that repeat. */
  readonly images: readonly string[];
  readonly signal: AbortSignal;
}

/** Everything that deciding needs, in one round of calls at once: three lists, and one look at each image. */
export async function observe(docker: Docker, { project, images, signal }: ObserveRequest): Promise<ObservedState> {
  const abortSignal = signal;
  const [containers, networks, volumes, found] = await Promise.all([
    observeContainers(docker, project, signal),
    docker.listNetworks({ abortSignal }),
    docker.listVolumes({ abortSignal }),
    observeImages(docker, images, signal),
  ]);
  return {
    containers,
    networks: networks.map(observedNetwork),
    volumes: (volumes.Volumes ?? []).map(observedVolume),
    images: found,
  };
}

/** By name, one-offs and ended ones included; without those of `pre_start` hooks, which belong to nobody but `down`. `service`: of this
 *  one only. */
export async function observeContainers(
  docker: Docker,
  project: string,
  signal: AbortSignal,
  service?: string,
): Promise<readonly ObservedContainer[]> {
  const filters = {
    label: [`${label.project}=${project}`, ...(service === undefined ? [] : [`${label.service}=${service}`])],
  };
  const containers = await docker.listContainers({ all: true, filters, abortSignal: signal });
  const own = containers.filter(({ Labels }) => Labels[label.hook] === undefined);
  return own.map(observedContainer).toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Containers of `pre_start` hooks that failed, or of an `up` that was killed. */
export async function observeHookContainers(
  docker: Docker,
  project: string,
  signal: AbortSignal,
): Promise<readonly ObservedContainer[]> {
  const filters = { label: [`${label.project}=${project}`, label.hook] };
  const containers = await docker.listContainers({ all: true, filters, abortSignal: signal });
  return containers.map(observedContainer);
}

/** Those that are there. */
export async function observeImages(
  docker: Docker,
  references: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, ObservedImage>> {
  const found = await Promise.all(references.map((reference) => inspectImage(docker, reference, signal)));
  return new Map(found.filter((image) => image !== undefined).map((image) => [image.reference, image]));
}

async function inspectImage(
  docker: Docker,
  reference: string,
  signal: AbortSignal,
): Promise<ObservedImage | undefined> {
  try {
    const query = { manifests: true, abortSignal: signal };
    return observedImage(reference, (await docker.getImage(reference).inspect(query)) as ImageInspect);
  } catch (error) {
    if (isTscomposeError(error, "image/not-found")) return undefined;
    throw error;
  }
}

/** Adds the whole of the containers named, so that their differences can be told. Those that are gone meanwhile stay as they are. */
export async function withInspects(
  docker: Docker,
  observed: ObservedState,
  ids: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<ObservedState> {
  if (ids.size === 0) return observed;
  const inspects = new Map<string, ContainerInspect>();
  await Promise.all(
    [...ids].map(async (id) => {
      try {
        inspects.set(id, await docker.getContainer(id).inspect({ abortSignal: signal }));
      } catch (error) {
        if (!isTscomposeError(error, "container/not-found")) throw error;
      }
    }),
  );
  const containers = observed.containers.map((container) => {
    const inspect = inspects.get(container.id);
    return inspect === undefined ? container : { ...container, inspect };
  });
  return { ...observed, containers };
}
