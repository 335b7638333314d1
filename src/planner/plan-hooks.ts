import type { Project, Service } from "../spec/model.ts";

import type { ContainerRef } from "./operation.ts";
import type { PlanBuilder } from "./plan.ts";
import type { HookPhase } from "./run-hook.ts";

/** Adds a node for each hook of that phase, one after the other.
 *  @returns the node after which all have run; `before` where there is none */
export function planHooks(
  plan: PlanBuilder,
  target: {
    readonly service: string;
    readonly spec: Service | undefined;
    readonly container: ContainerRef;
    readonly phase: HookPhase;
  },
  before: readonly number[],
): readonly number[] {
  const { service, spec, container, phase } = target;
  let after = before;
  for (const [index, hook] of (spec?.[phase] ?? []).entries()) {
    const cause = `${phase} of ${service}`;
    after = [plan.add({ kind: "run-hook", service, container, phase, index, hook, cause }, after)];
  }
  return after;
}

/** Adds a node for each `pre_start` hook of the service, one after the other; `container`: its first replica.
 *  @returns the node after which all have run; `before` where there is none */
export function planPreStart(
  plan: PlanBuilder,
  target: { readonly service: string; readonly spec: Service | undefined; readonly container: ContainerRef },
  before: readonly (number | undefined)[],
): readonly (number | undefined)[] {
  const { service, spec, container } = target;
  let after = before;
  for (const [index, hook] of (spec?.pre_start ?? []).entries()) {
    const cause = `pre_start of ${service}`;
    after = [plan.add({ kind: "run-pre-start", service, container, index, hook, cause }, after)];
  }
  return after;
}

/** Also of a service that a profile leaves out: its containers may still run. */
export function specOf(project: Project | undefined, service: string): Service | undefined {
  return project?.services[service] ?? project?.disabledServices[service];
}
