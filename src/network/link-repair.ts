/** Links of containers that somebody deleted or unplugged, made and plugged in again. */
import { NetlinkSocket } from "../host/netlink.ts";
import { enslave } from "../host/rtnetlink.ts";
import { findLink, listLinks } from "../host/rtnetlink-list.ts";
import { attachEndpoint, hostLinkOf } from "./attach.ts";
import { configureInterfaces, setDefaultRoutes } from "./container-links.ts";
import type { NetworkContext } from "./context.ts";
import { hasLink } from "./endpoint-links.ts";
import { defaultRoute, toInterface, type Endpoint } from "./plan-endpoint.ts";
import type { Sandbox } from "./sandbox.ts";

const NETLINK_ROUTE = 0;

/** The kernel numbers them as they come. */
export function numberInterfaces(sandbox: Sandbox, inside: NetlinkSocket): void {
  for (const [id, endpoint] of sandbox.endpoints) {
    if (!hasLink(endpoint.network)) continue;
    const index = findLink(inside, endpoint.state.interfaceName)?.index ?? 0;
    sandbox.endpoints.set(id, { ...endpoint, index });
  }
}

export function routesOf(sandbox: Sandbox): Parameters<typeof setDefaultRoutes>[1] {
  const linked = [...sandbox.endpoints.values()].filter(({ network }) => hasLink(network));
  return { 4: defaultRoute(linked, 4), 6: defaultRoute(linked, 6) };
}

/** @returns whether there was something to repair */
export function repairLinks(context: NetworkContext, sandboxes: readonly Sandbox[]): boolean {
  const links = new Map(listLinks(context.netlink).map((link) => [link.name, link]));
  let repaired = false;
  for (const sandbox of sandboxes) {
    for (const endpoint of sandbox.endpoints.values()) {
      const name = hostLinkOf(context.tag, endpoint);
      const bridge = links.get(endpoint.network.record.bridgeName);
      if (name === undefined || bridge === undefined) continue;
      const link = links.get(name);
      if (link === undefined) replaceLink(context, sandbox, { endpoint, bridgeIndex: bridge.index });
      else if (link.master !== bridge.index) context.netlink.execute([enslave(link.index, bridge.index)]);
      else continue;
      context.log("warn", `container ${sandbox.name} was plugged into network ${endpoint.network.name} again`);
      repaired = true;
    }
  }
  return repaired;
}

function replaceLink(
  context: NetworkContext,
  sandbox: Sandbox,
  at: { readonly endpoint: Endpoint; readonly bridgeIndex: number },
): void {
  attachEndpoint(context, sandbox.netns, at);
  const inside = new NetlinkSocket(NETLINK_ROUTE, sandbox.netns);
  try {
    numberInterfaces(sandbox, inside);
    const again = sandbox.endpoints.get(at.endpoint.network.id) ?? at.endpoint;
    configureInterfaces(inside, sandbox.netns, [toInterface(again)]);
    setDefaultRoutes(inside, routesOf(sandbox));
  } finally {
    inside.close();
  }
}
