/** Project + what the engine has -> plan. In: values only. Out: the plan, and what the user has to be told or asked. Makes no
 *  call, reads no clock: the same input gives the same plan. */
import type { Project } from "../spec/model.ts";

import { createGraph, type Graph } from "./graph.ts";
import { namespaceServices } from "./names.ts";
import type { ObservedContainer, ObservedState } from "./observed.ts";
import type { ReconcileOptions } from "./options.ts";
import { type Plan, PlanBuilder } from "./plan.ts";
import type { ReconcileContext, VolumeConfirmation } from "./reconcile-context.ts";
import { reconcileNetworks } from "./reconcile-networks.ts";
import { planRemove, reconcileServices } from "./reconcile-services.ts";
import { reconcileStart } from "./reconcile-start.ts";
import { reconcileVolumes } from "./reconcile-volumes.ts";

export interface Reconciled {
  readonly plan: Plan;
  /** Names of containers that run and are left alone. */
  readonly kept: readonly string[];
  /** Lower case, no full stop. */
  readonly warnings: readonly string[];
  readonly confirmations: readonly VolumeConfirmation[];
}

/** @throws network/not-found, network/invalid, volume/not-found, request/invalid: see the steps. */
export function reconcile(project: Project, observed: ObservedState, options: ReconcileOptions): Reconciled {
  const context: ReconcileContext = {
    project,
    observed,
    options,
    plan: new PlanBuilder(),
    warnings: [],
    confirmations: [],
    networks: new Map(),
    volumes: new Map(),
    stops: new Map(),
    reconnects: new Map(),
    evictions: new Map(),
  };
  const graph = serviceGraph(project);
  reconcileNetworks(context);
  reconcileVolumes(context);
  const planned = reconcileServices(context, graph);
  reconcileOrphans(context);
  const kept = options.start ? reconcileStart(context, graph, planned) : runningNames(observed, planned);
  return { plan: context.plan.build(), kept, warnings: context.warnings, confirmations: context.confirmations };
}

/** `depends_on` and shared namespaces. */
export function serviceGraph(project: Project): Graph {
  return createGraph(
    new Map(
      Object.entries(project.services).map(([name, spec]) => [
        name,
        [...Object.keys(spec.depends_on ?? {}), ...namespaceServices(spec)],
      ]),
    ),
  );
}

/** Containers of services that the project does not know, and ended one-offs of those it does. */
export function findOrphans(project: Project, observed: ObservedState): readonly ObservedContainer[] {
  return observed.containers.filter((container) => {
    if (container.oneoff) return container.state === "exited" || container.state === "dead";
    return (
      container.configHash !== undefined &&
      !Object.hasOwn(project.services, container.service) &&
      !Object.hasOwn(project.disabledServices, container.service)
    );
  });
}

function reconcileOrphans(context: ReconcileContext): void {
  const { project, observed, options } = context;
  const orphans = findOrphans(project, observed);
  if (orphans.length === 0 || options.orphans === "ignore") return;
  if (options.orphans === "remove") {
    for (const container of orphans) planRemove(context, container, "orphan");
    return;
  }
  const names = orphans.map(({ name }) => name).toSorted();
  context.warnings.push(
    `found orphan containers (${names.join(", ")}) for this project; if you removed or renamed this service in your compose ` +
      `file, run this command with the --remove-orphans flag to clean it up`,
  );
}

function runningNames(
  observed: ObservedState,
  planned: ReadonlyMap<string, { readonly replicas: readonly { readonly name: string; readonly observed: unknown }[] }>,
): readonly string[] {
  const running = new Set(observed.containers.filter(({ state }) => state === "running").map(({ name }) => name));
  return [...planned.values()].flatMap(({ replicas }) =>
    replicas.filter(({ name, observed: live }) => live !== undefined && running.has(name)).map(({ name }) => name),
  );
}
