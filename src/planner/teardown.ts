/** Plans for taking away: down, stop, rm. Pure. In: what is there, and what is to go. Out: a plan in reverse dependency order. */
import { createGraph, type Graph } from "./graph.ts";
import { namespaceServices } from "./names.ts";
import type { ObservedContainer, ObservedNetwork, ObservedVolume } from "./observed.ts";
import { type Plan, PlanBuilder } from "./plan.ts";
import { planHooks, specOf } from "./plan-hooks.ts";
import { isGeneratedName } from "./names.ts";
import { existing, isUp } from "./reconcile-context.ts";
import type { Project } from "../spec/model.ts";

export interface TeardownRequest {
  readonly containers: readonly ObservedContainer[];
  readonly networks: readonly ObservedNetwork[];
  readonly volumes: readonly ObservedVolume[];
  /** References or ids. */
  readonly images: readonly string[];
  /** Service dependencies; a dependent goes before what it depends on. */
  readonly graph: Graph;
  readonly timeoutSeconds: number | undefined;
  /** Whose services' `pre_stop` hooks run before their containers stop; undefined: none do. */
  readonly project: Project | undefined;
  /** Of the containers. */
  readonly anonymousVolumes: boolean;
  readonly cause: string;
}

/** Containers stop in reverse dependency order and are removed as soon as they are down; then networks, volumes and images. */
export function planTeardown(request: TeardownRequest): Plan {
  const plan = new PlanBuilder();
  const removed: number[] = [];
  const stops = planStops(plan, request);
  for (const container of request.containers) {
    removed.push(
      plan.add(
        {
          kind: "remove-container",
          service: container.service,
          container: existing(container),
          force: true,
          volumes: request.anonymousVolumes,
          cause: request.cause,
        },
        [stops.get(container.id)],
      ),
    );
  }
  for (const { name, id } of request.networks) {
    plan.add({ kind: "remove-network", name, id, ifUnused: true, cause: request.cause }, removed);
  }
  for (const { name } of request.volumes) {
    plan.add({ kind: "remove-volume", name, anonymous: isGeneratedName(name), cause: request.cause }, removed);
  }
  for (const name of request.images) plan.add({ kind: "remove-image", name, cause: request.cause }, removed);
  return plan.build();
}

export type StopRequest = Pick<TeardownRequest, "containers" | "graph" | "timeoutSeconds" | "project" | "cause">;

export function planStopAll(request: StopRequest): Plan {
  const plan = new PlanBuilder();
  planStops(plan, request);
  return plan.build();
}

/** Container id -> its stop node; those that are down have none. */
function planStops(
  plan: PlanBuilder,
  { containers, graph, timeoutSeconds, project, cause }: StopRequest,
): ReadonlyMap<string, number> {
  const stops = new Map<string, number>();
  const byService = new Map<string, readonly number[]>();
  const known = new Set(graph.order);
  // Orphans and one-offs hang on nothing that is known: they go first, and hold up nothing.
  const others = [...new Set(containers.map(({ service }) => service))]
    .filter((service) => !known.has(service))
    .toSorted();
  for (const service of [...others, ...graph.order.toReversed()]) {
    const before = graph.dependentsOf(service).flatMap((dependent) => byService.get(dependent) ?? []);
    const nodes: number[] = [];
    for (const container of containers) {
      if (container.service !== service || !isUp(container)) continue;
      const hooked = container.oneoff || container.state !== "running" ? undefined : specOf(project, service);
      const hooks = { service, spec: hooked, container: existing(container), phase: "pre_stop" } as const;
      const node = plan.add(
        { kind: "stop-container", service, container: existing(container), timeoutSeconds, cause },
        planHooks(plan, hooks, container.oneoff ? [] : before),
      );
      stops.set(container.id, node);
      nodes.push(node);
    }
    // One with nothing to stop hands on what it would have waited for.
    byService.set(service, nodes.length > 0 ? nodes : before);
  }
  return stops;
}

/** Dependencies from the model, and of containers whose service it does not know from their labels. */
export function teardownGraph(project: Project | undefined, containers: readonly ObservedContainer[]): Graph {
  const edges = new Map<string, string[]>();
  for (const { service, dependsOn } of containers) {
    edges.set(service, [...(edges.get(service) ?? []), ...dependsOn.map((dependency) => dependency.service)]);
  }
  for (const [name, spec] of Object.entries({ ...project?.disabledServices, ...project?.services })) {
    edges.set(name, [...Object.keys(spec.depends_on ?? {}), ...namespaceServices(spec)]);
  }
  return createGraph(edges);
}
