import type { DependencyCondition } from "../spec/model.ts";

import type { Graph } from "./graph.ts";
import { replicas } from "./names.ts";
import type { ObservedContainer } from "./observed.ts";
import type { WaitCondition } from "./operation.ts";
import { planHooks, planPreStart } from "./plan-hooks.ts";
import { isUp, type ReconcileContext } from "./reconcile-context.ts";
import type { PlannedService, Replica } from "./reconcile-services.ts";

/** The start phase: what does not run is started, once the conditions of `depends_on` hold. Conditions that hold already at
 *  observation need no node, so that a project at rest gives an empty plan.
 *  Returns the names of the containers that run and are left alone. */
export function reconcileStart(
  context: ReconcileContext,
  graph: Graph,
  planned: ReadonlyMap<string, PlannedService>,
): readonly string[] {
  const kept: string[] = [];
  /** Service -> the nodes after which it counts as started. */
  const started = new Map<string, readonly number[]>();
  const waits = new Map<string, number>();
  for (const service of graph.order) {
    const current = planned.get(service);
    if (current === undefined) continue;
    const ready = dependencyNodes({ context, planned, started, waits }, current);
    const nodes: number[] = [];
    const prepared = preStartNodes(context, current, ready);
    for (const replica of current.replicas) {
      if (keepsRunning(context, replica)) {
        kept.push(replica.name);
        continue;
      }
      const container = { ...replica.ref, name: replica.name };
      const start = context.plan.add({ kind: "start-container", service, container, cause: startCause(replica) }, [
        ...replica.ready,
        context.stops.get(replica.observed?.id ?? ""),
        ...prepared,
      ]);
      nodes.push(...planHooks(context.plan, { service, spec: current.spec, container, phase: "post_start" }, [start]));
    }
    // A service at rest hands on what it would have waited for: a dependent is not to overtake it.
    started.set(service, nodes.length > 0 ? nodes : ready);
  }
  if (context.options.wait) planFinalWaits({ context, planned, started, waits });
  return kept;
}

/** Before the first replica is started, and only where none runs on. */
function preStartNodes(
  context: ReconcileContext,
  { service, spec, replicas: all }: PlannedService,
  ready: readonly number[],
): readonly (number | undefined)[] {
  const [first] = all;
  if (first === undefined || all.some((replica) => keepsRunning(context, replica))) return ready;
  const before = all.flatMap(({ ready: made, observed }) => [...made, context.stops.get(observed?.id ?? "")]);
  const container = { ...first.ref, name: first.name };
  return planPreStart(context.plan, { service, spec, container }, [...before, ...ready]);
}

interface StartScope {
  readonly context: ReconcileContext;
  readonly planned: ReadonlyMap<string, PlannedService>;
  readonly started: ReadonlyMap<string, readonly number[]>;
  /** `service:condition` -> the one node that waits for it. */
  readonly waits: Map<string, number>;
}

function keepsRunning(context: ReconcileContext, { observed }: Replica): boolean {
  return (
    observed !== undefined &&
    (observed.state === "running" || observed.state === "restarting") &&
    !context.stops.has(observed.id)
  );
}

function startCause({ observed }: Replica): string {
  if (observed === undefined) return "created";
  if (observed.state === "created") return "never started";
  return isUp(observed) ? "stopped by this plan" : `it is ${observed.state}`;
}

function dependencyNodes(scope: StartScope, { service, spec }: PlannedService): readonly number[] {
  const nodes: number[] = [];
  for (const [name, { condition, required }] of Object.entries(spec.depends_on ?? {}).toSorted(([a], [b]) =>
    a < b ? -1 : 1,
  )) {
    const target = scope.planned.get(name);
    const after = scope.started.get(name) ?? [];
    const idle = target === undefined || replicas(target.spec) === 0 || target.spec.provider !== undefined;
    if (idle || condition === "service_started") nodes.push(...after);
    else if (holds(target, condition, after)) continue;
    else nodes.push(waitNode(scope, target, { condition, required, cause: `${service} depends on it` }));
  }
  return nodes;
}

/** Nothing of the service is started by this plan, and what runs is as it should be already. */
function holds(target: PlannedService, condition: WaitCondition, after: readonly number[]): boolean {
  if (after.length > 0) return false;
  const all = target.replicas.map(({ observed }) => observed);
  if (all.length === 0 || !all.every((one) => one !== undefined)) return false;
  return all.every((one) => meets(one, condition));
}

function meets(container: ObservedContainer, condition: WaitCondition): boolean {
  switch (condition) {
    case "service_started":
      return container.state === "running";
    case "service_healthy":
      return container.state === "running" && container.health === "healthy";
    case "running_or_healthy":
      return container.state === "running" && (container.health === "healthy" || container.health === "none");
    case "service_completed_successfully":
      return container.state === "exited" && container.exitCode === 0;
  }
}

function waitNode(
  scope: StartScope,
  target: PlannedService,
  { condition, required, cause }: { condition: WaitCondition; required: boolean; cause: string },
): number {
  // One that has to hold and one that may fail are kept apart: the first must not go on where the second may.
  const key = `${target.service}:${condition}:${required}`;
  const known = scope.waits.get(key);
  if (known !== undefined) return known;
  const node = scope.context.plan.add(
    {
      kind: "wait-service",
      service: target.service,
      condition,
      containers: target.replicas.map(({ ref, name }) => ({ ...ref, name })),
      required,
      cause,
    },
    scope.started.get(target.service) ?? [],
  );
  scope.waits.set(key, node);
  return node;
}

/** `--wait`: a service that others need completed has to complete; every other one has to run or be healthy. */
function planFinalWaits(scope: StartScope): void {
  const completing = new Set(
    [...scope.planned.values()].flatMap(({ spec }) =>
      Object.entries(spec.depends_on ?? {})
        .filter(([, { condition }]) => condition === ("service_completed_successfully" satisfies DependencyCondition))
        .map(([name]) => name),
    ),
  );
  for (const target of scope.planned.values()) {
    if (target.replicas.length === 0) continue;
    const condition = completing.has(target.service) ? "service_completed_successfully" : "running_or_healthy";
    if (holds(target, condition, scope.started.get(target.service) ?? [])) continue;
    waitNode(scope, target, { condition, required: true, cause: "--wait" });
  }
}
