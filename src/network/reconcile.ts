/** Brings the kernel to what the records and the adopted sandboxes say: missing bridges and ports of bridges are made, links of ours
 *  that belong to nothing go, rules are compared and repaired. */
import { NetlinkSocket } from "../host/netlink.ts";
import { deleteLink, enslave, listLinks } from "../host/rtnetlink.ts";
import { hostLinkOf } from "./attach.ts";
import type { NetworkContext } from "./context.ts";
import { bridgePrefix, vethPrefix } from "./names.ts";
import type { NetworkRegistry } from "./network-registry.ts";
import type { Sandboxes } from "./sandboxes.ts";

const NETLINK_ROUTE = 0;

export async function reconcile(
  context: NetworkContext,
  registry: NetworkRegistry,
  sandboxes: Sandboxes,
): Promise<void> {
  const bridges = registry.all().filter((network) => network.record.driver === "bridge");
  const wanted = bridges.filter((network) => network.name !== "bridge" || network.members.size > 0);
  for (const network of wanted) registry.adopt(network);
  for (const network of wanted) registry.repairBridge(network);
  replug(context, sandboxes);
  await removeStrays(context, {
    bridges: new Set(wanted.map(({ record }) => record.bridgeName)),
    ports: new Set(portNames(context, sandboxes)),
  });
  if (await context.firewall.check()) context.log("info", "the firewall rules were repaired");
}

function portNames(context: NetworkContext, sandboxes: Sandboxes): readonly string[] {
  return sandboxes
    .all()
    .flatMap((sandbox) => [...sandbox.endpoints.values()].flatMap((one) => hostLinkOf(context.tag, one) ?? []));
}

/** A bridge that was deleted and made again has lost its ports: they are there, but belong to nobody. */
export function replug(context: NetworkContext, sandboxes: Sandboxes): void {
  const links = new Map(listLinks(context.netlink).map((link) => [link.name, link]));
  for (const sandbox of sandboxes.all()) {
    for (const endpoint of sandbox.endpoints.values()) {
      const link = links.get(hostLinkOf(context.tag, endpoint) ?? "");
      const bridge = links.get(endpoint.network.record.bridgeName);
      if (link === undefined || bridge === undefined || link.master === bridge.index) continue;
      context.netlink.tryAll([enslave(link.index, bridge.index)]);
      context.log("warn", `container ${sandbox.name} was plugged into network ${endpoint.network.name} again`);
    }
  }
}

async function removeStrays(
  context: NetworkContext,
  ours: { readonly bridges: ReadonlySet<string>; readonly ports: ReadonlySet<string> },
): Promise<void> {
  const names = listLinks(context.netlink)
    .map(({ name }) => name)
    .filter(
      (name) =>
        (name.startsWith(bridgePrefix(context.tag)) && !ours.bridges.has(name)) ||
        (name.startsWith(vethPrefix(context.tag)) && !ours.ports.has(name)),
    );
  if (names.length === 0) return;
  const socket = new NetlinkSocket(NETLINK_ROUTE);
  try {
    for (const error of await socket.tryAllOnThread(names.map(deleteLink))) context.log("warn", error.message);
  } finally {
    socket.close();
  }
}
