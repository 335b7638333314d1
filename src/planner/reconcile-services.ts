import { TscomposeError } from "../errors.ts";
import { serviceConfigHash } from "../spec/config-hash.ts";
import type { Service } from "../spec/model.ts";

import { classify, type Classified } from "./classify.ts";
import type { Graph } from "./graph.ts";
import { containerName, namespaceServices, replacementName, replicas } from "./names.ts";
import type { ObservedContainer } from "./observed.ts";
import type { ContainerRef } from "./operation.ts";
import { existing, isUp, planStop, type ReconcileContext } from "./reconcile-context.ts";
import { resolveReferences } from "./resolve-references.ts";

/** A container of a service as it will be once its create phase is over. */
export interface Replica {
  readonly ref: ContainerRef;
  /** Its name then. */
  readonly name: string;
  readonly number: number;
  /** Undefined: created by this plan. */
  readonly observed: ObservedContainer | undefined;
  /** After these it can be started. */
  readonly ready: readonly number[];
}

export interface PlannedService {
  readonly service: string;
  readonly spec: Service;
  /** By number. */
  readonly replicas: readonly Replica[];
  /** Anything created, recreated, renamed or removed. */
  readonly recreated: boolean;
}

/** The create phase: every service has the containers it should have, none of them newly started. Dependencies come first, so
 *  that what shares a recreated namespace is seen to. */
export function reconcileServices(context: ReconcileContext, graph: Graph): ReadonlyMap<string, PlannedService> {
  const planned = new Map<string, PlannedService>();
  for (const service of graph.order) {
    const spec = context.project.services[service];
    if (spec !== undefined) planned.set(service, reconcileService({ context, graph, planned }, service, spec));
  }
  return planned;
}

interface Scope {
  readonly context: ReconcileContext;
  readonly graph: Graph;
  readonly planned: ReadonlyMap<string, PlannedService>;
}

function reconcileService(scope: Scope, service: string, spec: Service): PlannedService {
  const { context, planned } = scope;
  const { options, project, observed } = context;
  const wanted = replicas(spec);
  if (spec.container_name !== undefined && wanted > 1) {
    throw new TscomposeError(
      "request/invalid",
      `service "${service}" cannot have ${wanted} replicas: container_name is set`,
      {
        hint: "drop container_name, or ask for one replica",
      },
    );
  }
  const named = options.services.length === 0 || options.services.includes(service);
  const classified = classify(context, {
    service,
    spec,
    replicas: wanted,
    policy: named ? options.recreate : options.recreateDependencies,
    expectedHash: serviceConfigHash(resolveReferences(spec, (other) => firstContainer(observed.containers, other)?.id)),
    recreatedParent: namespaceServices(spec).find((other) => planned.get(other)?.recreated === true),
  });
  const made: Replica[] = [];
  const excess = new Map<string, number>();
  for (const { container, verdict } of classified) {
    if (verdict.kind === "excess") excess.set(container.name, planRemove(context, container, "scale down"));
  }
  for (const entry of classified) {
    const replica = planReplica(scope, { service, spec, entry, excess });
    if (replica !== undefined) made.push(replica);
  }
  const highest = Math.max(0, ...classified.map(({ container }) => container.number));
  const missing = wanted - made.length;
  for (let step = 1; step <= missing; step += 1) {
    const number = highest + step;
    const name = containerName(project, service, spec, number);
    const node = planCreate(scope, { service, spec, number, name, replaced: undefined, cause: "does not exist" });
    made.push({ ref: { kind: "created", node, name }, name, number, observed: undefined, ready: [node] });
  }
  const recreated = classified.some(({ verdict }) => verdict.kind === "recreate" || verdict.kind === "evicted");
  return { service, spec, replicas: made.toSorted((a, b) => a.number - b.number), recreated };
}

function planReplica(
  scope: Scope,
  {
    service,
    spec,
    entry: { container, verdict },
    excess,
  }: { service: string; spec: Service; entry: Classified; excess: ReadonlyMap<string, number> },
): Replica | undefined {
  const { context } = scope;
  const { number } = container;
  switch (verdict.kind) {
    case "excess":
      return undefined;
    case "keep": {
      const ready = [...(context.reconnects.get(container.id) ?? [])];
      const name = containerName(context.project, service, spec, number);
      // What a recreation that was cut short left behind: the replacement, still under its first name.
      if (isReplacementOf(container, name) && !isTaken(context, name, excess)) {
        const free = excess.get(name);
        const cause = "a recreation was interrupted";
        ready.push(context.plan.add({ kind: "rename-container", container: existing(container), name, cause }, [free]));
        return { ref: existing(container), name, number, observed: container, ready };
      }
      return { ref: existing(container), name: container.name, number, observed: container, ready };
    }
    case "evicted": {
      const name = containerName(context.project, service, spec, number);
      const replaced = { container, gone: context.evictions.get(container.id) };
      const node = planCreate(scope, { service, spec, number, name, replaced, cause: "a volume of it is replaced" });
      return { ref: { kind: "created", node, name }, name, number, observed: undefined, ready: [node] };
    }
    case "recreate":
      return planRecreate(scope, { service, spec, container, cause: verdict.cause, excess });
  }
}

function isReplacementOf(container: ObservedContainer, name: string): boolean {
  return container.name !== name && /^[0-9a-f]{12}_/.test(container.name) && container.name.slice(13) === name;
}

function isTaken(context: ReconcileContext, name: string, excess: ReadonlyMap<string, number>): boolean {
  return !excess.has(name) && context.observed.containers.some((other) => other.name === name);
}

/** The new container is there before the old one goes, so that a failure to create it leaves the old one at work. */
function planRecreate(
  scope: Scope,
  {
    service,
    spec,
    container,
    cause,
    excess,
  }: {
    readonly service: string;
    readonly spec: Service;
    readonly container: ObservedContainer;
    readonly cause: string;
    readonly excess: ReadonlyMap<string, number>;
  },
): Replica {
  const { context, graph } = scope;
  const { plan, project } = context;
  const name = containerName(project, service, spec, container.number);
  const group = name;
  // A replacement that an interrupted recreation left bears the name that this one gets at first.
  const free = excess.get(replacementName(container.id, name));
  const replaced = { container, gone: undefined };
  const node = planCreate(scope, { service, spec, number: container.number, name, replaced, cause, group, free });
  const ref: ContainerRef = { kind: "created", node, name };
  const why = `replaced by #${node}`;
  // Dependents that asked for it (`restart: true`) are down before what they depend on goes, and started after it is back.
  const dependents = graph
    .dependentsOf(service)
    .filter((other) => project.services[other]?.depends_on?.[service]?.restart === true)
    .flatMap((other) => context.observed.containers.filter((one) => one.service === other && !one.oneoff));
  const quiet = dependents.map((other) => planStop(context, other, `${service} is recreated`));
  const alreadyStopped = context.stops.get(container.id);
  const stop =
    alreadyStopped ??
    (isUp(container)
      ? plan.add(
          {
            kind: "stop-container",
            service,
            container: existing(container),
            timeoutSeconds: context.options.stopTimeoutSeconds,
            cause: why,
          },
          [node, ...quiet],
          group,
        )
      : undefined);
  if (stop !== undefined) context.stops.set(container.id, stop);
  const removed = plan.add(
    { kind: "remove-container", service, container: existing(container), force: true, volumes: false, cause: why },
    [node, stop, ...(context.reconnects.get(container.id) ?? [])],
    group,
  );
  const renamed = plan.add({ kind: "rename-container", container: ref, name, cause: why }, [removed], group);
  return { ref, name, number: container.number, observed: undefined, ready: [renamed] };
}

interface Creation {
  readonly service: string;
  readonly spec: Service;
  readonly number: number;
  readonly name: string;
  /** The container whose place it takes; `gone`: the node after which its name is free, undefined: not before the end. */
  readonly replaced: { readonly container: ObservedContainer; readonly gone: number | undefined } | undefined;
  readonly cause: string;
  readonly group?: string;
  /** The node after which its first name is free. */
  readonly free?: number | undefined;
}

function planCreate(scope: Scope, { service, spec, number, name, replaced, cause, group, free }: Creation): number {
  const { context, planned } = scope;
  const networks = spec.network_mode === undefined ? Object.keys(spec.networks ?? {}) : [];
  const volumes = (spec.volumes ?? []).map(({ type, source }) => (type === "volume" ? source : undefined));
  const references = new Map<string, ContainerRef>();
  const parents: number[] = [];
  for (const other of namespaceServices(spec)) {
    const [first] = planned.get(other)?.replicas.toSorted((a, b) => (a.name < b.name ? -1 : 1)) ?? [];
    if (first === undefined) continue;
    references.set(other, first.ref);
    parents.push(...first.ready);
  }
  const linked = new Map<string, readonly string[]>();
  for (const link of spec.links ?? []) {
    const other = link.split(":", 1)[0] ?? link;
    linked.set(other, planned.get(other)?.replicas.map((replica) => replica.name) ?? []);
  }
  const after = [
    ...networks.map((key) => context.networks.get(key)?.node),
    ...volumes.map((key) => (key === undefined ? undefined : context.volumes.get(key)?.node)),
    ...parents,
    replaced?.gone,
    free,
  ];
  const beside = replaced !== undefined && replaced.gone === undefined;
  return context.plan.add(
    {
      kind: "create-container",
      service,
      number,
      name,
      initialName: beside ? replacementName(replaced.container.id, name) : name,
      references,
      linked,
      inherit: replaced === undefined || !context.options.keepAnonymousVolumes ? [] : replaced.container.mounts,
      replaces: beside ? name : undefined,
      cause,
    },
    after,
    group,
  );
}

/** Stop, then remove. Anonymous volumes stay, as with Docker Compose: a scale-down may be undone. */
export function planRemove(context: ReconcileContext, container: ObservedContainer, cause: string): number {
  return context.plan.add(
    {
      kind: "remove-container",
      service: container.service,
      container: existing(container),
      force: true,
      volumes: false,
      cause,
    },
    [planStop(context, container, cause)],
  );
}

/** By name: what Docker Compose takes for `service:x`. */
function firstContainer(containers: readonly ObservedContainer[], service: string): ObservedContainer | undefined {
  return containers
    .filter((one) => one.service === service && !one.oneoff)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))[0];
}
