import { imageName, isGeneratedName } from "../planner/names.ts";
import type { ObservedContainer, ObservedNetwork, ObservedVolume } from "../planner/observed.ts";
import { observe, observeHookContainers } from "../planner/observe.ts";
import type { Plan } from "../planner/plan.ts";
import { planTeardown, teardownGraph } from "../planner/teardown.ts";
import type { Project } from "../spec/model.ts";

import { carryOut } from "./carry-out.ts";
import type { ComposeContext, ProjectReference } from "./context.ts";
import { healProject } from "./faults.ts";
import { checkServices } from "./select.ts";

export interface DownOptions {
  /** Empty: all. */
  readonly services: readonly string[];
  readonly orphans: "remove" | "keep";
  readonly volumes: boolean;
  /** `local`: only those that bear no name of their own. */
  readonly images: "none" | "local" | "all";
  /** Undefined: each container's own. */
  readonly timeoutSeconds: number | undefined;
}

/** Takes the project away. Everything is found by label, so what an `up` that was killed left half done goes as well. What is
 *  gone already is fine; what fails does not hinder the rest, and is all reported.
 *  Returns the number of things there were to remove. */
export async function down(
  context: ComposeContext,
  reference: ProjectReference,
  options: DownOptions,
): Promise<number> {
  const release = await context.lockProject(reference.name, context.signal);
  try {
    let removed = 0;
    // What a killed `up` had asked for may turn up after we have looked.
    for (let round = 0; round < 10; round += 1) {
      const plan = await planDown(context, reference, options);
      if (
        plan.nodes.length === 0 ||
        (round > 0 && !plan.nodes.some(({ operation }) => operation.kind === "remove-container"))
      )
        break;
      await carryOut(context, reference, plan);
      removed += plan.nodes.length;
    }
    if (options.services.length === 0) await healProject(context, reference);
    return removed;
  } finally {
    release();
  }
}

export async function planDown(
  context: ComposeContext,
  reference: ProjectReference,
  options: DownOptions,
): Promise<Plan> {
  const [observed, hooks] = await Promise.all([
    observe(context.docker, { project: reference.name, images: [], signal: context.signal }),
    observeHookContainers(context.docker, reference.name, context.signal),
  ]);
  checkServices(reference, observed.containers, options.services);
  const { services } = options;
  const containers = [
    ...observed.containers.filter((container) => isMeant(reference, container, options)),
    ...hooks.filter(({ service }) => services.length === 0 || services.includes(service)),
  ];
  const { project, name } = reference;
  return planTeardown({
    containers,
    networks:
      options.services.length > 0 ? [] : observed.networks.filter((network) => isOurNetwork(reference, network)),
    volumes: options.volumes
      ? observed.volumes.filter(
          (volume) => isOurVolume(reference, volume, options) || isAnonymousOf(containers, volume),
        )
      : [],
    images: options.images === "none" || project === undefined ? [] : imagesToRemove(project, options),
    graph: teardownGraph(project, containers),
    timeoutSeconds: options.timeoutSeconds,
    project,
    anonymousVolumes: options.volumes,
    cause: `project ${name} is taken down`,
  });
}

/** Services that are known but switched off keep their containers; unknown ones are orphans; one-offs that still run are left. */
function isMeant(
  { project }: ProjectReference,
  container: ObservedContainer,
  { services, orphans }: DownOptions,
): boolean {
  if (services.length > 0) return services.includes(container.service) && !container.oneoff;
  if (container.oneoff)
    return (
      orphans === "remove" &&
      (container.state === "exited" || container.state === "dead" || container.state === "created")
    );
  if (project === undefined) return true;
  if (Object.hasOwn(project.services, container.service)) return true;
  return orphans === "remove" && !Object.hasOwn(project.disabledServices, container.service);
}

/** All that bear the project's label: one that the file no longer names would otherwise stay for ever. */
function isOurNetwork({ name }: ProjectReference, network: ObservedNetwork): boolean {
  return network.project === name && network.key !== undefined;
}

/** With a model only those it declares: data is not lost for a line that was deleted. */
function isOurVolume({ project, name }: ProjectReference, volume: ObservedVolume, { services }: DownOptions): boolean {
  if (volume.project !== name || volume.key === undefined) return false;
  if (project === undefined) return services.length === 0;
  const declared = project.volumes[volume.key];
  return (
    declared !== undefined &&
    declared.external !== true &&
    (services.length === 0 || usedBy(project, volume.key, services))
  );
}

/** One that was carried over by a recreation: the engine takes it for a named one, and would leave it. */
function isAnonymousOf(containers: readonly ObservedContainer[], { name, project }: ObservedVolume): boolean {
  if (project !== undefined || !isGeneratedName(name)) return false;
  return containers.some(({ mounts }) => mounts.some(({ Type, Name }) => Type === "volume" && Name === name));
}

function usedBy(project: Project, key: string, services: readonly string[]): boolean {
  return services.some((name) =>
    project.services[name]?.volumes?.some(({ type, source }) => type === "volume" && source === key),
  );
}

function imagesToRemove(project: Project, { images, services }: DownOptions): readonly string[] {
  const wanted = Object.entries(project.services).filter(
    ([name, spec]) =>
      (services.length === 0 || services.includes(name)) &&
      (images === "all" || (spec.image === undefined && spec.build !== undefined)),
  );
  return [...new Set(wanted.map(([name, spec]) => imageName(project, name, spec)))];
}
