/** Networking of one engine. In: networks and sandboxes as plain data. Out: addresses, bound ports, files for /etc. What it makes in
 *  the kernel carries the engine's tag, so that several engines live side by side. Knows no images, no Compose. */
import { mkdirSync } from "node:fs";
import { NetlinkSocket } from "../host/netlink.ts";
import { closeNetworking } from "./close.ts";
import type { NetworkContext } from "./context.ts";
import { defaultPools, parsePools, uniqueLocalPool } from "./default-pools.ts";
import { Upstream } from "./dns/upstream.ts";
import { FaultStore } from "./faults/fault-record.ts";
import { Guard } from "./guard.ts";
import { Firewall } from "./firewall/firewall.ts";
import { Isolation } from "./isolation.ts";
import { readMachineSeed } from "./machine-seed.ts";
import { toEngineTag } from "./names.ts";
import { NetworkRegistry } from "./network-registry.ts";
import { NetworkStore } from "./network-store.ts";
import { reconcile } from "./reconcile.ts";
import { Sandboxes } from "./sandboxes.ts";
import type { Networking, NetworkingOptions } from "./types.ts";

const NETLINK_ROUTE = 0;

/** Loads the records. The kernel is changed by the first use, and by `reconcile`.
 *  @throws host/syscall-failed, host/permission without root */
export async function createNetworking(options: NetworkingOptions): Promise<Networking> {
  mkdirSync(options.dataDir, { recursive: true, mode: 0o700 });
  const tag = toEngineTag(options.tag);
  const configured = parsePools(options.pools ?? defaultPools);
  const pools = configured.some(({ base }) => base.family === 6)
    ? configured
    : [...configured, uniqueLocalPool(readMachineSeed(options.dataDir))];
  const poolSubnets = pools.map(({ base }) => base);
  const context: NetworkContext = {
    tag,
    log: options.log,
    netlink: new NetlinkSocket(NETLINK_ROUTE),
    firewall: new Firewall({ tag, pools: poolSubnets, log: options.log }),
    isolation: new Isolation(),
    upstream: new Upstream(),
    publishAddresses: options.publishAddresses ?? [],
    pools,
    poolSubnets,
  };
  const registry = new NetworkRegistry(context, new NetworkStore(options.dataDir));
  const sandboxes = new Sandboxes(context, registry, new FaultStore(options.dataDir));
  const { faults } = sandboxes;
  const guard = new Guard(context, { registry, sandboxes, poller: options.poller });
  await Promise.resolve();
  return {
    create: async (body) => {
      const { network, warning } = await registry.create(body);
      return { Id: network.id, Warning: warning };
    },
    inspect: (ref) => registry.resolve(ref).inspect(),
    list: () => registry.list(),
    remove: async (ref) => await registry.remove(registry.resolve(ref)),
    faults: {
      list: () => faults.list(),
      create: async (body) => await faults.create(body),
      remove: async (id) => await faults.remove(id),
      of: (containerId) => faults.of(containerId),
    },
    setupSandbox: async (request) => await sandboxes.setup(request),
    adoptSandbox: async (request, state) => await sandboxes.adopt(request, state),
    teardownSandbox: async (containerId) => await sandboxes.teardown(containerId),
    connect: async (containerId, endpoint) => await sandboxes.connect(containerId, endpoint),
    disconnect: async (containerId, networkId) => await sandboxes.disconnect(containerId, networkId),
    rename: (containerId, name) => sandboxes.rename(containerId, name),
    setHealthy: (containerId, healthy) => sandboxes.setHealthy(containerId, healthy),
    reconcile: async () => await reconcile(context, registry, sandboxes),
    close: async () => {
      await guard.close();
      await closeNetworking(context, registry, sandboxes);
    },
  };
}
