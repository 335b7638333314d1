/** restart: in dependency order. Source: Docker Compose, which waits for the conditions of the dependencies that a service follows
 *  (`restart: true`) between their restart and its own, and for no others. */
import { errorMessage } from "../errors.ts";
import type { ObservedContainer } from "../planner/observed.ts";
import { observeContainers } from "../planner/observe.ts";
import type { WaitCondition } from "../planner/operation.ts";
import { specOf } from "../planner/plan-hooks.ts";
import { runHooks } from "../planner/run-hook.ts";
import { teardownGraph } from "../planner/teardown.ts";
import { createContainerWatch, type ContainerWatch } from "../planner/wait.ts";
import type { Service } from "../spec/model.ts";

import type { ComposeContext, ProjectReference } from "./context.ts";
import { each, settle, type StopOptions } from "./lifecycle.ts";
import { Notes } from "./notes.ts";
import { checkServices, serviceContainers } from "./select.ts";
import { toCondition } from "./start.ts";

/** Dependents that asked for it (`restart: true`) come along, unless `dependents` is "leave". */
export async function restart(
  context: ComposeContext,
  reference: ProjectReference,
  options: StopOptions & { readonly dependents: "restart" | "leave" },
): Promise<void> {
  const all = serviceContainers(await observeContainers(context.docker, reference.name, context.signal), []);
  checkServices(reference, all, options.services);
  const graph = teardownGraph(reference.project, all);
  const meant = new Set(options.services.length === 0 ? all.map(({ service }) => service) : options.services);
  if (options.dependents === "restart") addDependents(all, meant);
  const restarted = all.filter((container) => meant.has(container.service));
  const watch = createContainerWatch(context.docker, reference.name);
  const notes = new Notes();
  const done = new Map<string, Promise<unknown>>();
  for (const service of graph.order) {
    if (!meant.has(service)) continue;
    const before = Promise.all(graph.dependenciesOf(service).flatMap((other) => done.get(other) ?? []));
    const own = all.filter((container) => container.service === service);
    done.set(
      service,
      before
        .then(() => Promise.all(followed(reference, own, restarted).map((one) => waitFor(context, watch, one))))
        .then(() =>
          restartEach(context, own, {
            spec: specOf(reference.project, service),
            timeoutSeconds: options.timeoutSeconds,
            notes,
          }),
        ),
    );
  }
  try {
    await settle([...done.values()]);
  } finally {
    watch.close();
    notes.tell(context.onWarning);
  }
}

async function restartEach(
  context: ComposeContext,
  containers: readonly ObservedContainer[],
  {
    spec,
    timeoutSeconds,
    notes,
  }: { readonly spec: Service | undefined; readonly timeoutSeconds: number | undefined; readonly notes: Notes },
): Promise<void> {
  const query = timeoutSeconds === undefined ? {} : { t: timeoutSeconds };
  const { docker, signal } = context;
  await each(context, containers, ["Restarting", "Started"], async ({ id, name, service, state }) => {
    if (state === "running") await runHooks(docker, { id, service, hooks: spec?.pre_stop, signal });
    await docker.getContainer(id).restart({ ...query, onWarning: (note) => notes.add(name, note) });
    await runHooks(docker, { id, service, hooks: spec?.post_start, signal });
  });
}

interface Followed {
  readonly container: ObservedContainer;
  readonly condition: WaitCondition;
  readonly required: boolean;
}

/** Containers whose restart the service goes along with. */
function followed(
  { project }: ProjectReference,
  own: readonly ObservedContainer[],
  restarted: readonly ObservedContainer[],
): readonly Followed[] {
  const [{ service, dependsOn } = { service: "", dependsOn: [] }] = own;
  return dependsOn
    .filter((dependency) => dependency.restart)
    .flatMap((dependency) => {
      const required = project?.services[service]?.depends_on?.[dependency.service]?.required !== false;
      const condition = toCondition(dependency.condition);
      const containers = restarted.filter((container) => container.service === dependency.service);
      return containers.map((container) => ({ container, condition, required }));
    });
}

async function waitFor(
  { signal, onWarning }: ComposeContext,
  watch: ContainerWatch,
  { container, condition, required }: Followed,
): Promise<void> {
  try {
    await watch.waitFor(container, condition, signal);
  } catch (error) {
    if (required || signal.aborted) throw error;
    onWarning(`optional dependency "${container.service}" failed to start: ${errorMessage(error)}`);
  }
}

function addDependents(all: readonly ObservedContainer[], meant: Set<string>): void {
  for (let size = -1; size !== meant.size;) {
    size = meant.size;
    for (const { service, dependsOn } of all) {
      if (dependsOn.some((dependency) => dependency.restart && meant.has(dependency.service))) meant.add(service);
    }
  }
}
