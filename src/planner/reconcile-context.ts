import type { Project } from "../spec/model.ts";

import type { ObservedContainer, ObservedNetwork, ObservedState, ObservedVolume } from "./observed.ts";
import type { ReconcileOptions } from "./options.ts";
import type { PlanBuilder } from "./plan.ts";

/** What the steps of one reconciliation share. The inputs are read only; what grows is the plan and the notes about it. */
export interface ReconcileContext {
  readonly project: Project;
  readonly observed: ObservedState;
  readonly options: ReconcileOptions;
  readonly plan: PlanBuilder;
  readonly warnings: string[];
  readonly confirmations: VolumeConfirmation[];
  /** Network key -> what it is on the engine, and the node after which it is there. */
  readonly networks: Map<string, ResolvedResource<ObservedNetwork>>;
  readonly volumes: Map<string, ResolvedResource<ObservedVolume>>;
  /** Container id -> the node that stops it, for what else needs it stopped. */
  readonly stops: Map<string, number>;
  /** Container id -> the nodes after which it has its networks back. */
  readonly reconnects: Map<string, number[]>;
  /** Container id -> the node that takes it away so that a volume can be replaced. */
  readonly evictions: Map<string, number>;
}

export interface ResolvedResource<Observed> {
  readonly name: string;
  /** Undefined: made by this plan. */
  readonly live: Observed | undefined;
  /** Undefined: nothing to wait for. */
  readonly node: number | undefined;
}

/** A volume whose definition has changed; to follow it means to lose its data. */
export interface VolumeConfirmation {
  readonly key: string;
  readonly name: string;
}

/** Plans to stop a running container, once however many steps need it. Undefined: it does not run. */
export function planStop(
  context: ReconcileContext,
  container: ObservedContainer,
  cause: string,
  group?: string,
): number | undefined {
  const planned = context.stops.get(container.id);
  if (planned !== undefined) return planned;
  if (!isUp(container)) return undefined;
  const node = context.plan.add(
    {
      kind: "stop-container",
      service: container.service,
      container: existing(container),
      timeoutSeconds: context.options.stopTimeoutSeconds,
      cause,
    },
    [],
    group,
  );
  context.stops.set(container.id, node);
  return node;
}

export function existing(container: ObservedContainer): {
  readonly kind: "existing";
  readonly id: string;
  readonly name: string;
} {
  return { kind: "existing", id: container.id, name: container.name };
}

/** Has processes: a stop is needed before it can be removed. */
export function isUp(container: ObservedContainer): boolean {
  return container.state === "running" || container.state === "paused" || container.state === "restarting";
}
