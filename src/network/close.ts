/** The end of an engine: descriptors go, containers and their networks stay. The default bridge goes when nobody is in it. */
import { errorMessage } from "../errors.ts";
import type { NetworkContext } from "./context.ts";
import type { NetworkRegistry } from "./network-registry.ts";
import type { Sandboxes } from "./sandboxes.ts";

export async function closeNetworking(
  context: NetworkContext,
  registry: NetworkRegistry,
  sandboxes: Sandboxes,
): Promise<void> {
  for (const network of registry.all()) {
    if (network.name !== "bridge" || network.members.size + network.joining > 0 || !registry.isReady(network)) continue;
    await registry.retire(network).catch((error: unknown) => context.log("warn", errorMessage(error)));
  }
  await sandboxes.close();
  await context.firewall.settled();
  context.isolation.close();
  context.netlink.close();
}
