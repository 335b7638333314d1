/** stop, restart, kill, pause, unpause, rm: one verb over the containers of the services named. */
import { errorMessage, isTscomposeError, TscomposeError } from "../errors.ts";
import type { ObservedContainer } from "../planner/observed.ts";
import { observeContainers } from "../planner/observe.ts";
import { planStopAll, planTeardown, teardownGraph } from "../planner/teardown.ts";

import { carryOut } from "./carry-out.ts";
import type { ComposeContext, ProjectReference } from "./context.ts";
import { checkServices, serviceContainers } from "./select.ts";

export interface StopOptions {
  readonly services: readonly string[];
  /** Undefined: each container's own. */
  readonly timeoutSeconds: number | undefined;
}

/** Reverse dependency order; one-offs are left. */
export async function stop(context: ComposeContext, reference: ProjectReference, options: StopOptions): Promise<void> {
  const containers = await chosen(context, reference, options.services);
  const graph = teardownGraph(reference.project, containers);
  await carryOut(
    context,
    reference,
    planStopAll({ ...options, containers, graph, project: reference.project, cause: "stop" }),
  );
}

export interface RemoveOptions extends StopOptions {
  readonly stop: boolean;
  /** Also anonymous volumes. */
  readonly volumes: boolean;
}

/** Containers that `remove` would take, by name. */
export async function removable(
  context: ComposeContext,
  reference: ProjectReference,
  options: RemoveOptions,
): Promise<readonly ObservedContainer[]> {
  const containers = await chosen(context, reference, options.services);
  return options.stop
    ? containers
    : containers.filter(({ state }) => state !== "running" && state !== "paused" && state !== "restarting");
}

/** Removes containers that do not run; with `stop` the others are stopped first. */
export async function remove(
  context: ComposeContext,
  reference: ProjectReference,
  { containers, ...options }: RemoveOptions & { readonly containers: readonly ObservedContainer[] },
): Promise<void> {
  const graph = teardownGraph(reference.project, containers);
  const plan = planTeardown({
    containers,
    graph,
    networks: [],
    volumes: [],
    images: [],
    timeoutSeconds: options.timeoutSeconds,
    project: reference.project,
    anonymousVolumes: options.volumes,
    cause: "rm",
  });
  await carryOut(context, reference, plan);
}

async function chosen(
  context: ComposeContext,
  reference: ProjectReference,
  services: readonly string[],
): Promise<readonly ObservedContainer[]> {
  const all = await observeContainers(context.docker, reference.name, context.signal);
  checkServices(reference, all, services);
  return serviceContainers(all, services);
}

export type SimpleVerb = "kill" | "pause" | "unpause";

/** All at once. Returns how many containers there were to do it to. */
export async function simple(
  context: ComposeContext,
  reference: ProjectReference,
  {
    verb,
    services,
    signal,
  }: { readonly verb: SimpleVerb; readonly services: readonly string[]; readonly signal?: string },
): Promise<number> {
  const all = await observeContainers(context.docker, reference.name, context.signal);
  checkServices(reference, all, services);
  const { docker } = context;
  const meant = all.filter(
    (container) =>
      isMeant(verb, container) &&
      (services.length === 0 || services.includes(container.service)) &&
      (verb === "kill" || !container.oneoff),
  );
  await each(context, meant, words[verb], ({ id }) => {
    const container = docker.getContainer(id);
    if (verb === "pause") return container.pause();
    if (verb === "unpause") return container.unpause();
    return container.kill(signal === undefined ? {} : { signal });
  });
  return meant.length;
}

function isMeant(verb: SimpleVerb, { state }: ObservedContainer): boolean {
  if (verb === "pause") return state === "running";
  if (verb === "unpause") return state === "paused";
  return state === "running" || state === "paused" || state === "restarting";
}

const words: Readonly<Record<SimpleVerb, readonly [string, string]>> = {
  kill: ["Killing", "Killed"],
  pause: ["Pausing", "Paused"],
  unpause: ["Unpausing", "Unpaused"],
};

export async function each(
  context: ComposeContext,
  containers: readonly ObservedContainer[],
  [working, done]: readonly [string, string],
  call: (container: ObservedContainer) => Promise<void>,
): Promise<void> {
  await settle(
    containers.map(async (container) => {
      const { name } = container;
      context.onProgress({ kind: "Container", name, status: "working", text: working });
      try {
        await call(container);
      } catch (error) {
        // It ended by itself in between.
        const gone =
          isTscomposeError(error, "container/not-found") || isTscomposeError(error, "container/not-modified");
        if (!gone) {
          context.onProgress({ kind: "Container", name, status: "error", text: "Error", details: errorMessage(error) });
          throw error;
        }
      }
      context.onProgress({ kind: "Container", name, status: "done", text: done });
    }),
  );
}

export async function settle(promises: readonly Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(promises);
  const failures = results.flatMap((result) => (result.status === "rejected" ? [result.reason as unknown] : []));
  const messages = [...new Set(failures.map(errorMessage))];
  if (messages.length === 1) throw failures[0];
  if (messages.length > 1)
    throw new TscomposeError("compose/failed", messages.join("\n"), { cause: failures[0], details: { messages } });
}
