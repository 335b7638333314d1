/** What the parts of networking share. One instance an engine. Types only. */
import type { NetlinkSocket } from "../host/netlink.ts";
import type { Subnet } from "./cidr.ts";
import type { SubnetPool } from "./default-pools.ts";
import type { Upstream } from "./dns/upstream.ts";
import type { Firewall } from "./firewall/firewall.ts";
import type { Isolation } from "./isolation.ts";
import type { EngineTag } from "./names.ts";
import type { NetworkingOptions } from "./types.ts";

export interface NetworkContext {
  readonly tag: EngineTag;
  readonly log: NetworkingOptions["log"];
  /** rtnetlink of the host's namespace. */
  readonly netlink: NetlinkSocket;
  readonly firewall: Firewall;
  readonly isolation: Isolation;
  readonly upstream: Upstream;
  /** Host addresses for published ports that name none; empty: every address. */
  readonly publishAddresses: readonly string[];
  readonly pools: readonly SubnetPool[];
  /** IPv4 and IPv6 pools, as the firewall groups by them. */
  readonly poolSubnets: readonly Subnet[];
}
