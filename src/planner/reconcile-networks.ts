import { TscomposeError } from "../errors.ts";
import { networkConfigHash } from "../spec/config-hash.ts";
import type { Network } from "../spec/model.ts";

import { endpointSettings } from "./create-body/networking.ts";
import { networkCreateBody } from "./create-body/resources-of-project.ts";
import { serviceOfMode } from "./names.ts";
import type { ObservedNetwork } from "./observed.ts";

import { existing, planStop, type ReconcileContext } from "./reconcile-context.ts";

/** Every network of the project exists afterwards as defined, and `context.networks` knows it by key.
 *  @throws network/not-found for an external one that is not there; network/invalid where several bear its name. */
export function reconcileNetworks(context: ReconcileContext): void {
  for (const [key, network] of Object.entries(context.project.networks).toSorted(byKey)) {
    const name = network.name ?? key;
    if (network.external === true) {
      const live = externalNetwork(context, name);
      context.networks.set(key, { name: live.name, live, node: undefined });
      continue;
    }
    const live = findNetwork(context, key, name);
    if (live !== undefined) warnOfOverlap(context, live);
    if (live === undefined) create(context, key, network, "does not exist");
    else if (live.configHash === undefined || live.project !== context.project.name) adopt(context, key, live);
    else if (live.name !== name) create(context, key, network, `renamed from ${live.name}`);
    else if (live.configHash !== networkConfigHash(network)) replace(context, key, network, live);
    else context.networks.set(key, { name, live, node: undefined });
  }
}

function warnOfOverlap({ warnings }: ReconcileContext, { name, overlaps }: ObservedNetwork): void {
  if (overlaps.length === 0) return;
  warnings.push(
    `network ${name} is on addresses that this host now reaches elsewhere (${overlaps.join(", ")}): containers cannot reach what is there; ` +
      "`down` and `up` give it another subnet, unless the file names one",
  );
}

/** The one of that exact name wins; else the one that bears this project's label for the key. */
function findNetwork({ project, observed }: ReconcileContext, key: string, name: string): ObservedNetwork | undefined {
  const own = observed.networks.filter((network) => network.project === project.name && network.key === key);
  return (
    own.find((network) => network.name === name) ??
    observed.networks.find((network) => network.name === name) ??
    own.toSorted((a, b) => (a.name < b.name ? -1 : 1))[0]
  );
}

function externalNetwork({ observed }: ReconcileContext, name: string): ObservedNetwork {
  const found = observed.networks.filter((network) => network.name === name || network.id === name);
  const [first] = found;
  if (first === undefined) {
    throw new TscomposeError("network/not-found", `network ${name} declared as external, but could not be found`, {
      hint: `create it first, or drop "external" to have it made for the project`,
    });
  }
  if (found.length > 1) {
    throw new TscomposeError("network/invalid", `external network ${name}: ${found.length} networks bear this name`, {
      hint: "write the id of the network instead of its name",
    });
  }
  return first;
}

/** A network that is not ours is used as it is: to change or remove it might break its owner. */
function adopt(context: ReconcileContext, key: string, live: ObservedNetwork): void {
  const { project } = context;
  context.networks.set(key, { name: live.name, live, node: undefined });
  if (live.project === project.name) return;
  const origin =
    live.project === undefined ? "was not created by compose" : `was created for project "${live.project}"`;
  context.warnings.push(`network ${live.name} exists but ${origin}; set "external: true" to use an existing network`);
}

function create(
  context: ReconcileContext,
  key: string,
  network: Network,
  cause: string,
  after: readonly number[] = [],
): number {
  const body = networkCreateBody(context.project, key, network);
  const node = context.plan.add({ kind: "create-network", name: body.Name, body, cause }, after);
  context.networks.set(key, { name: body.Name, live: undefined, node });
  return node;
}

/** The engine refuses to remove a network with endpoints, and a running container cannot lose its main one: so its containers
 *  stop, leave, and join the new one; they keep their identity and are started again by the start phase. */
function replace(context: ReconcileContext, key: string, network: Network, live: ObservedNetwork): void {
  const { plan, project } = context;
  const cause = `definition of network ${key} changed`;
  const attached = context.observed.containers.filter((one) => one.networks.some(({ name }) => name === live.name));
  const left = attached.map((container) =>
    plan.add({ kind: "disconnect-network", container: existing(container), network: live.name, cause }, [
      planStop(context, container, cause),
    ]),
  );
  stopSharers(context, new Set(attached.map(({ service }) => service)), cause);
  const removed = plan.add({ kind: "remove-network", name: live.name, id: live.id, ifUnused: false, cause }, left);
  const created = create(context, key, network, cause, [removed]);
  for (const container of attached) {
    const spec = project.services[container.service];
    if (spec === undefined) continue;
    const endpoint = endpointSettings(project, {
      service: container.service,
      spec,
      name: container.name,
      network: key,
    });
    const node = plan.add(
      { kind: "connect-network", container: existing(container), network: network.name ?? key, endpoint, cause },
      [created],
    );
    context.reconnects.set(container.id, [...(context.reconnects.get(container.id) ?? []), node]);
  }
}

/** A container that shares the network namespace of one that stops would be left in the old one. */
function stopSharers(context: ReconcileContext, services: ReadonlySet<string>, cause: string): void {
  for (const container of context.observed.containers) {
    const mode = context.project.services[container.service]?.network_mode;
    const owner = container.oneoff ? undefined : serviceOfMode(mode);
    if (owner !== undefined && services.has(owner)) planStop(context, container, cause);
  }
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
