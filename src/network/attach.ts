/** One endpoint's link, by driver. */
import { readSysctl } from "../host/sysctl.ts";
import { createChildLink } from "./child-link.ts";
import { plugIntoBridge } from "./container-links.ts";
import type { NetworkContext } from "./context.ts";
import { vethNameFor, type EngineTag } from "./names.ts";
import { bridgeOptions } from "./network-record.ts";
import { toInterface, type Endpoint } from "./plan-endpoint.ts";
import { assertNever } from "../errors.ts";

/** The host's end of the endpoint's link; undefined where there is none. */
export function hostLinkOf(tag: EngineTag, endpoint: Endpoint): string | undefined {
  return endpoint.network.record.driver === "bridge" ? vethNameFor(tag, endpoint.state.endpointId) : undefined;
}

/** Makes the link, without addresses. @throws host/syscall-failed */
export function attachEndpoint(
  context: NetworkContext,
  netns: number,
  at: { readonly endpoint: Endpoint; readonly bridgeIndex: number | undefined },
): void {
  const { endpoint, bridgeIndex } = at;
  const { record } = endpoint.network;
  switch (record.driver) {
    case "bridge": {
      if (bridgeIndex === undefined) throw new Error(`network ${record.name} has no bridge`);
      // Where netfilter sees bridged packets it also translates them on the bridge: then a published port may lead back to the port
      // a packet came from (hairpin), and must not be cut off by port isolation; the rules keep neighbours apart instead.
      const bridgedNat = readSysctl("net/bridge/bridge-nf-call-iptables") === "1";
      const port = {
        hostName: vethNameFor(context.tag, endpoint.state.endpointId),
        bridgeIndex,
        isolated: !bridgeOptions(record).icc && !bridgedNat,
        hairpin: bridgedNat,
      };
      plugIntoBridge(context.netlink, netns, { link: toInterface(endpoint), port });
      return;
    }
    case "macvlan":
    case "ipvlan":
      if (bridgeIndex === undefined) throw new Error(`network ${record.name} has no parent`);
      createChildLink(context.netlink, netns, { record, link: toInterface(endpoint), parent: bridgeIndex });
      return;
    case "host":
    case "null":
      return;
    default:
      assertNever(record.driver);
  }
}
