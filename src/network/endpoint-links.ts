/** Small questions about endpoints and their links. */
import { NetlinkSocket } from "../host/netlink.ts";
import { deleteLink } from "../host/rtnetlink.ts";
import { findLink } from "../host/rtnetlink-list.ts";
import type { LiveNetwork } from "./live-network.ts";
import type { EndpointRequest } from "./types.ts";

const NETLINK_ROUTE = 0;

export const hasLink = (network: LiveNetwork): boolean =>
  network.record.driver !== "host" && network.record.driver !== "null";

/** For an endpoint of which only what it got is known. */
export function plainRequest(networkId: string): EndpointRequest {
  return {
    networkId,
    aliases: [],
    ipv4: undefined,
    ipv6: undefined,
    linkLocalIps: [],
    macAddress: undefined,
    gatewayPriority: 0,
    driverOptions: {},
  };
}

/** Number of an interface inside the namespace; 0: it is not there. */
export function interfaceIndex(netns: number, name: string): number {
  const inside = new NetlinkSocket(NETLINK_ROUTE, netns);
  try {
    return findLink(inside, name)?.index ?? 0;
  } finally {
    inside.close();
  }
}

/** The kernel deletes one link after the other, and each call holds a thread meanwhile: more at once gain nothing, and there are only
 *  so many threads. */
const deletionsAtOnce = 4;
let deleting = 0;
const waiting: (() => void)[] = [];

/** Of the host's namespace, on another thread. @throws host/syscall-failed */
export async function deleteLinks(names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  if (deleting >= deletionsAtOnce) await new Promise<void>((turn) => waiting.push(turn));
  else deleting += 1;
  const socket = new NetlinkSocket(NETLINK_ROUTE);
  try {
    const [error] = await socket.tryAllOnThread(names.map(deleteLink));
    if (error !== undefined) throw error;
  } finally {
    socket.close();
    const next = waiting.shift();
    if (next === undefined) deleting -= 1;
    else next(); // takes over the place
  }
}
