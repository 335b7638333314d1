/** Brings the kernel to what the records and the adopted sandboxes say: missing bridges and ports of bridges are made, links of ours
 *  that belong to nothing go, rules are compared and repaired. */
import { NetlinkSocket } from "../host/netlink.ts";
import { deleteLink } from "../host/rtnetlink.ts";
import { listLinks } from "../host/rtnetlink-list.ts";
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
  const others = registry.all().filter((network) => network.record.driver !== "bridge");
  for (const network of wanted) registry.adopt(network);
  for (const network of wanted) registry.repairBridge(network);
  sandboxes.repairLinks();
  await removeStrays(context, {
    bridges: new Set([...wanted, ...others].map(({ record }) => record.bridgeName)),
    ports: new Set(portNames(context, sandboxes)),
  });
  sandboxes.faults.adopt();
  const repaired = await context.firewall.check();
  await sandboxes.faults.apply();
  if (repaired) context.log("info", "the firewall rules were repaired");
}

function portNames(context: NetworkContext, sandboxes: Sandboxes): readonly string[] {
  return sandboxes
    .all()
    .flatMap((sandbox) => [...sandbox.endpoints.values()].flatMap((one) => hostLinkOf(context.tag, one) ?? []));
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
