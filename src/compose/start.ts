import { TscomposeError } from "../errors.ts";
import { executePlan } from "../planner/execute.ts";
import type { ObservedContainer } from "../planner/observed.ts";
import { observeContainers } from "../planner/observe.ts";
import type { WaitCondition } from "../planner/operation.ts";
import { createPerformer } from "../planner/perform.ts";
import { PlanBuilder, type Plan } from "../planner/plan.ts";
import { planHooks, planPreStart, specOf } from "../planner/plan-hooks.ts";
import { existing, isUp } from "../planner/reconcile-context.ts";
import { teardownGraph } from "../planner/teardown.ts";
import { createContainerWatch } from "../planner/wait.ts";

import type { ComposeContext, ProjectReference } from "./context.ts";
import { checkServices, serviceContainers } from "./select.ts";

export interface StartOptions {
  readonly services: readonly string[];
  readonly wait: boolean;
  readonly waitTimeoutSeconds: number | undefined;
}

/** Starts the containers there are, in dependency order, each after the conditions of its `depends_on`. */
export async function start(
  context: ComposeContext,
  reference: ProjectReference,
  options: StartOptions,
): Promise<void> {
  const all = await observeContainers(context.docker, reference.name, context.signal);
  checkServices(reference, all, options.services);
  const containers = serviceContainers(all, options.services);
  if (containers.length === 0) {
    throw new TscomposeError("request/not-found", `project "${reference.name}" has no container to start`, {
      hint: "create them: tscompose up -d",
    });
  }
  const watch = createContainerWatch(context.docker, reference.name);
  const timeout = options.waitTimeoutSeconds;
  const signal =
    timeout === undefined ? context.signal : AbortSignal.any([context.signal, AbortSignal.timeout(timeout * 1000)]);
  try {
    await executePlan(planStart(reference, { all: serviceContainers(all, []), containers, wait: options.wait }), {
      perform: createPerformer({
        docker: context.docker,
        project: reference.project,
        images: new Map(),
        profiles: new Map(),
        watch,
      }),
      signal,
      concurrency: context.concurrency,
      onFailure: "stop",
      onProgress: context.onProgress,
    });
  } catch (error) {
    if (!signal.aborted || context.signal.aborted) throw error;
    throw new TscomposeError("compose/failed", `application not healthy after ${timeout ?? 0}s`, { cause: error });
  } finally {
    watch.close();
  }
}

/** Pure. `containers`: those to start; conditions look at `all`. */
export function planStart(
  reference: ProjectReference,
  {
    all,
    containers,
    wait,
  }: {
    readonly all: readonly ObservedContainer[];
    readonly containers: readonly ObservedContainer[];
    readonly wait: boolean;
  },
): Plan {
  const plan = new PlanBuilder();
  const graph = teardownGraph(reference.project, all);
  const started = new Map<string, readonly number[]>();
  const waits = new Map<string, number>();
  const waitFor = (service: string, condition: WaitCondition, cause: string): number => {
    const key = `${service}:${condition}`;
    const known = waits.get(key);
    if (known !== undefined) return known;
    const targets = all.filter((container) => container.service === service).map(existing);
    const node = plan.add(
      { kind: "wait-service", service, condition, containers: targets, required: true, cause },
      started.get(service) ?? [],
    );
    waits.set(key, node);
    return node;
  };
  for (const service of graph.order) {
    const own = containers.filter((container) => container.service === service);
    const before = conditionsOf(reference, service, own).flatMap(({ name, condition }) => {
      const there = all.some((container) => container.service === name);
      if (condition === "service_started" || !there) return started.get(name) ?? [];
      return [waitFor(name, condition, `${service} depends on it`)];
    });
    const [first] = own;
    const spec = specOf(reference.project, service);
    const idle = first !== undefined && !all.some((one) => one.service === service && !one.oneoff && isUp(one));
    const prepared = idle ? planPreStart(plan, { service, spec, container: existing(first) }, before) : before;
    const nodes = own
      .filter((container) => !isUp(container))
      .flatMap((one) => {
        const container = existing(one);
        const start = plan.add({ kind: "start-container", service, container, cause: `it is ${one.state}` }, prepared);
        return planHooks(plan, { service, spec, container, phase: "post_start" }, [start]);
      });
    started.set(service, nodes.length > 0 ? nodes : before);
  }
  if (wait)
    for (const service of new Set(containers.map((one) => one.service)))
      waitFor(service, "running_or_healthy", "--wait");
  return plan.build();
}

function conditionsOf(
  { project }: ProjectReference,
  service: string,
  own: readonly ObservedContainer[],
): readonly { readonly name: string; readonly condition: WaitCondition }[] {
  if (own.every(isUp)) return [];
  const spec = project?.services[service];
  if (spec !== undefined)
    return Object.entries(spec.depends_on ?? {}).map(([name, { condition }]) => ({ name, condition }));
  return (own[0]?.dependsOn ?? []).map(({ service: name, condition }) => ({ name, condition: toCondition(condition) }));
}

/** Of a label. */
export function toCondition(text: string): WaitCondition {
  return text === "service_healthy" || text === "service_completed_successfully" ? text : "service_started";
}
