/** Sandboxes of one engine: set up all or nothing, taken over after a restart, changed while they run, torn down whatever happens. */
import { errorMessage, TscomposeError } from "../errors.ts";
import { NetlinkSocket } from "../host/netlink.ts";
import { deleteLink } from "../host/rtnetlink.ts";
import { findLink, listLinks } from "../host/rtnetlink-list.ts";
import { UndoStack } from "../host/undo-stack.ts";
import { applyInterfaceSysctls, configureInterfaces, prepareNamespace, setDefaultRoutes } from "./container-links.ts";
import type { NetworkContext } from "./context.ts";
import { attachEndpoint, hostLinkOf } from "./attach.ts";
import type { FaultStore } from "./faults/fault-record.ts";
import { Faults } from "./faults/faults.ts";
import type { LiveNetwork } from "./live-network.ts";
import type { NetworkRegistry } from "./network-registry.ts";
import {
  defaultRoute,
  endpointSysctls,
  gatewayEndpoint,
  memberNames,
  planEndpoint,
  toInterface,
  type Endpoint,
} from "./plan-endpoint.ts";
import { deleteLinks, hasLink, interfaceIndex, plainRequest } from "./endpoint-links.ts";
import { numberInterfaces, repairLinks, routesOf } from "./link-repair.ts";
import { SandboxPorts } from "./sandbox-ports.ts";
import { hostsFileOf, resolvConfOf, startResolver } from "./sandbox-names.ts";
import { Sandbox } from "./sandbox.ts";
import type { EndpointRequest, EndpointState, SandboxRequest, SandboxState } from "./types.ts";

const NETLINK_ROUTE = 0;

export class Sandboxes {
  readonly #context: NetworkContext;
  readonly #registry: NetworkRegistry;
  readonly #ports: SandboxPorts;
  readonly #live = new Map<string, Sandbox>();

  readonly faults: Faults;

  constructor(context: NetworkContext, registry: NetworkRegistry, store: FaultStore) {
    this.#context = context;
    this.faults = new Faults(context, store, () => this.all());
    this.#registry = registry;
    this.#ports = new SandboxPorts(context, () => this.all());
  }

  all(): readonly Sandbox[] {
    return [...this.#live.values()];
  }
  get(containerId: string): Sandbox | undefined {
    return this.#live.get(containerId);
  }

  async setup(request: SandboxRequest): Promise<SandboxState> {
    if (this.#live.has(request.containerId)) await this.teardown(request.containerId);
    const networks = request.endpoints.map((one) => ({ one, network: this.#registry.resolve(one.networkId) }));
    const undo = new UndoStack();
    for (const { network } of networks) {
      network.joining += 1;
      undo.defer("place in network", () => void (network.joining -= 1));
    }
    try {
      const bridges = new Map<string, number>();
      for (const { network } of networks) {
        if (hasLink(network)) bridges.set(network.id, await this.#registry.ensureReady(network));
      }
      const sandbox = new Sandbox(request);
      undo.defer("namespace", () => sandbox.close());
      prepareNamespace(sandbox.netns, request.sysctls);
      this.#planEndpoints(sandbox, networks, undo);
      const publishing = this.#ports.publish(sandbox, undo);
      // A refusal is looked at below; meanwhile it must not count as unhandled.
      publishing.catch(() => undefined);
      this.#plugIn(sandbox, bridges, undo);
      sandbox.dns = startResolver(this.#context, sandbox);
      undo.defer("name server", () => sandbox.dns?.close());
      await publishing;
      this.#join(sandbox);
      undo.commit();
      for (const { network } of networks) network.joining -= 1;
      await this.#applyFaults(sandbox);
      return this.#stateOf(sandbox);
    } catch (error) {
      for (const failure of await undo.run()) this.#context.log("warn", `${failure.message}: ${String(failure.cause)}`);
      throw error;
    }
  }

  /** A container that should be cut off and cannot be does not start. */
  async #applyFaults(sandbox: Sandbox): Promise<void> {
    try {
      await this.faults.apply();
    } catch (error) {
      await this.teardown(sandbox.id).catch((second: unknown) => this.#context.log("warn", errorMessage(second)));
      throw error;
    }
  }

  #planEndpoints(
    sandbox: Sandbox,
    networks: readonly { readonly one: EndpointRequest; readonly network: LiveNetwork }[],
    undo: UndoStack,
  ): void {
    const { previous } = sandbox.request;
    const takenNames = new Set(["lo"]);
    for (const { one, network } of networks) {
      if (sandbox.endpoints.has(network.id)) continue;
      const endpoint = planEndpoint(network, one, {
        takenNames,
        previous: previous.find(({ networkId }) => networkId === network.id),
      });
      takenNames.add(endpoint.state.interfaceName);
      sandbox.endpoints.set(network.id, endpoint);
      undo.defer("addresses", () => network.releaseEndpoint(endpoint.state));
    }
  }

  #plugIn(sandbox: Sandbox, bridges: ReadonlyMap<string, number>, undo: UndoStack): void {
    const { netlink } = this.#context;
    for (const endpoint of sandbox.endpoints.values()) {
      attachEndpoint(this.#context, sandbox.netns, { endpoint, bridgeIndex: bridges.get(endpoint.network.id) });
      const name = hostLinkOf(this.#context.tag, endpoint);
      if (name !== undefined) undo.defer(`link ${name}`, () => netlink.execute([deleteLink(name)]));
    }
    const inside = new NetlinkSocket(NETLINK_ROUTE, sandbox.netns);
    try {
      numberInterfaces(sandbox, inside);
      const linked = [...sandbox.endpoints.values()].filter(({ network }) => hasLink(network));
      configureInterfaces(inside, sandbox.netns, linked.map(toInterface));
      setDefaultRoutes(inside, { 4: defaultRoute(linked, 4), 6: defaultRoute(linked, 6) });
    } finally {
      inside.close();
    }
    applyInterfaceSysctls(sandbox.netns, sandbox.request.sysctls);
    for (const endpoint of sandbox.endpoints.values()) applyInterfaceSysctls(sandbox.netns, endpointSysctls(endpoint));
  }

  #join(sandbox: Sandbox): void {
    this.#live.set(sandbox.id, sandbox);
    for (const endpoint of sandbox.endpoints.values()) this.#enter(sandbox, endpoint);
  }

  #enter(sandbox: Sandbox, endpoint: Endpoint): void {
    const { network, request, state } = endpoint;
    network.members.set(sandbox.id, { containerName: sandbox.name, state });
    // Containers on the default bridge do not find each other by name, as with Docker.
    const names =
      network.name === "bridge"
        ? []
        : memberNames({ ...sandbox.request, containerName: sandbox.name }, request.aliases);
    const [ipv4, ipv6] = [state.ipv4?.address, state.ipv6?.address];
    network.zone.set({ containerId: sandbox.id, names, ipv4, ipv6, healthy: sandbox.healthy });
  }

  #stateOf(sandbox: Sandbox): SandboxState {
    return {
      containerId: sandbox.id,
      endpoints: [...sandbox.endpoints.values()].map(({ state }) => state),
      ports: sandbox.published.bound,
      hostsFile: hostsFileOf(sandbox),
      resolvConf: resolvConfOf(sandbox),
    };
  }

  /** Makes nothing but what ended with the last engine: name server, held ports. What is missing in the kernel, `reconcile` makes. */
  async adopt(request: SandboxRequest, state: SandboxState): Promise<void> {
    const sandbox = new Sandbox(request);
    const takenNames = new Set<string>();
    for (const endpointState of state.endpoints) {
      const network = this.#registry.get(endpointState.networkId);
      if (network === undefined) {
        this.#context.log(
          "warn",
          `container ${sandbox.name} is in network ${endpointState.networkName}, which is gone`,
        );
        continue;
      }
      const one = request.endpoints.find(({ networkId }) => networkId === network.id || networkId === network.name);
      const index = interfaceIndex(sandbox.netns, endpointState.interfaceName);
      network.adoptAddresses(endpointState);
      takenNames.add(endpointState.interfaceName);
      sandbox.endpoints.set(network.id, {
        network,
        state: endpointState,
        index,
        request: one ?? plainRequest(network.id),
      });
      if (network.record.driver === "bridge") this.#registry.adopt(network);
    }
    this.#join(sandbox);
    this.#ports.adopt(sandbox, state);
    sandbox.dns = startResolver(this.#context, sandbox);
    await Promise.resolve();
  }

  async teardown(containerId: string): Promise<void> {
    const sandbox = this.#live.get(containerId);
    if (sandbox === undefined) return;
    this.#live.delete(containerId);
    const endpoints = [...sandbox.endpoints.values()];
    for (const { network } of endpoints) {
      network.zone.remove(containerId);
      network.members.delete(containerId);
      network.joining += 1; // its addresses are in use until the rules are gone
    }
    const errors: unknown[] = [];
    const attempt = async (step: () => void | Promise<void>): Promise<void> => {
      try {
        await step();
      } catch (error) {
        errors.push(error);
      }
    };
    await attempt(() => sandbox.dns?.close());
    await attempt(() => this.#ports.unpublish(sandbox));
    await attempt(() => this.faults.apply());
    for (const { network, state } of endpoints) {
      network.releaseEndpoint(state);
      network.joining -= 1;
    }
    await attempt(() => sandbox.close());
    this.#sweepLater(endpoints.flatMap((endpoint) => hostLinkOf(this.#context.tag, endpoint) ?? []));
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1)
      throw new AggregateError(errors, `network of container ${sandbox.name} not entirely removed`);
  }

  /** Links go with the namespace, which is far cheaper than deleting them. Those that are still there after a while are in a
   *  namespace that somebody else keeps alive. */
  readonly #sweeping = new Set<string>();
  #sweepTimer: NodeJS.Timeout | undefined;
  #sweepLater(names: readonly string[]): void {
    for (const name of names) this.#sweeping.add(name);
    if (names.length === 0) return;
    this.#sweepTimer ??= setTimeout(() => void this.sweep(), 500).unref();
  }

  async sweep(): Promise<void> {
    clearTimeout(this.#sweepTimer);
    this.#sweepTimer = undefined;
    const names = [...this.#sweeping].filter((name) => findLink(this.#context.netlink, name) !== undefined);
    this.#sweeping.clear();
    await deleteLinks(names);
  }

  async connect(containerId: string, request: EndpointRequest): Promise<EndpointState> {
    const sandbox = this.#require(containerId);
    const network = this.#registry.resolve(request.networkId);
    if (sandbox.endpoints.has(network.id)) {
      throw new TscomposeError(
        "network/in-use",
        `endpoint with name ${sandbox.name} already exists in network ${network.name}`,
        { details: { network: network.name, container: sandbox.name } },
      );
    }
    network.joining += 1;
    try {
      const bridgeIndex = hasLink(network) ? await this.#registry.ensureReady(network) : undefined;
      const state = this.#attachLive(sandbox, { network, request, bridgeIndex });
      await this.faults.apply();
      return state;
    } finally {
      network.joining -= 1;
    }
  }

  #attachLive(
    sandbox: Sandbox,
    joining: {
      readonly network: LiveNetwork;
      readonly request: EndpointRequest;
      readonly bridgeIndex: number | undefined;
    },
  ): EndpointState {
    const { network } = joining;
    const inside = new NetlinkSocket(NETLINK_ROUTE, sandbox.netns);
    try {
      const links = listLinks(inside);
      let endpoint = planEndpoint(network, joining.request, {
        takenNames: new Set(links.map(({ name }) => name)),
        previous: sandbox.request.previous.find(({ networkId }) => networkId === network.id),
      });
      const before = routesOf(sandbox);
      try {
        attachEndpoint(this.#context, sandbox.netns, { endpoint, bridgeIndex: joining.bridgeIndex });
        endpoint = { ...endpoint, index: findLink(inside, endpoint.state.interfaceName)?.index ?? 0 };
        configureInterfaces(inside, sandbox.netns, [toInterface(endpoint)]);
        sandbox.endpoints.set(network.id, endpoint);
        setDefaultRoutes(inside, routesOf(sandbox), before);
        applyInterfaceSysctls(sandbox.netns, endpointSysctls(endpoint));
      } catch (error) {
        sandbox.endpoints.delete(network.id);
        network.releaseEndpoint(endpoint.state);
        const name = hostLinkOf(this.#context.tag, endpoint);
        if (name !== undefined) this.#context.netlink.tryAll([deleteLink(name)]);
        throw error;
      }
      this.#enter(sandbox, endpoint);
      return endpoint.state;
    } finally {
      inside.close();
    }
  }

  async disconnect(containerId: string, networkId: string): Promise<void> {
    const sandbox = this.#require(containerId);
    const network = this.#registry.resolve(networkId);
    const endpoint = sandbox.endpoints.get(network.id);
    if (endpoint === undefined) {
      throw new TscomposeError(
        "network/invalid",
        `container ${containerId} is not connected to network ${network.name}`,
        {
          details: { httpStatus: 500, network: network.name },
        },
      );
    }
    const carriedPorts = gatewayEndpoint(sandbox.endpoints.values(), 4) === endpoint;
    const before = routesOf(sandbox);
    sandbox.endpoints.delete(network.id);
    network.zone.remove(containerId);
    network.members.delete(containerId);
    network.joining += 1;
    try {
      const name = hostLinkOf(this.#context.tag, endpoint);
      const after = routesOf(sandbox);
      const routes = {
        4: before[4]?.index === endpoint.index ? undefined : before[4],
        6: before[6]?.index === endpoint.index ? undefined : before[6],
      };
      await deleteLinks(name === undefined ? [] : [name]);
      const inside = new NetlinkSocket(NETLINK_ROUTE, sandbox.netns);
      try {
        if (name === undefined) inside.tryAll([deleteLink(endpoint.state.interfaceName)]);
        setDefaultRoutes(inside, after, routes);
      } finally {
        inside.close();
      }
      if (carriedPorts) await this.#ports.retarget(sandbox);
      await this.faults.apply();
    } finally {
      network.releaseEndpoint(endpoint.state);
      network.joining -= 1;
    }
  }

  rename(containerId: string, name: string): void {
    const sandbox = this.#live.get(containerId);
    if (sandbox === undefined) return;
    sandbox.name = name;
    for (const endpoint of sandbox.endpoints.values()) this.#enter(sandbox, endpoint);
  }

  setHealthy(containerId: string, healthy: boolean): void {
    const sandbox = this.#live.get(containerId);
    if (sandbox === undefined || sandbox.healthy === healthy) return;
    sandbox.healthy = healthy;
    for (const endpoint of sandbox.endpoints.values()) this.#enter(sandbox, endpoint);
    this.#ports.reconsider(sandbox).catch((error: unknown) => {
      this.#context.log("error", `ports of container ${sandbox.name}: ${errorMessage(error)}`);
    });
  }

  /** Plugs ports into bridges again that were deleted and made again, and makes links again that were deleted. */
  repairLinks(): void {
    if (repairLinks(this.#context, this.all())) this.faults.relinked();
    this.faults.apply().catch((error: unknown) => this.#context.log("error", errorMessage(error)));
  }

  /** Lets go of everything without taking anything out of the kernel: the containers go on. */
  async close(): Promise<void> {
    await this.sweep();
    for (const sandbox of this.all()) {
      sandbox.dns?.close();
      await Promise.all(sandbox.forwarders.map((one) => one.close()));
      sandbox.close();
    }
    await this.#ports.close();
    this.#live.clear();
  }

  #require(containerId: string): Sandbox {
    const sandbox = this.#live.get(containerId);
    if (sandbox !== undefined) return sandbox;
    throw new TscomposeError("container/wrong-status", `container ${containerId} is not running`);
  }
}
