/** One endpoint's link, by driver. */
import { readSysctl } from "../host/sysctl.ts";
import { createChildLink } from "./child-link.ts";
import { plugIntoBridge } from "./container-links.ts";
import type { NetworkContext } from "./context.ts";
import { vethNameFor, type EngineTag } from "./names.ts";
import { bridgeOptions, subnetsOf } from "./network-record.ts";
import { toInterface, type Endpoint } from "./plan-endpoint.ts";
import { closeSync } from "node:fs";
import { assertNever, isTscomposeError } from "../errors.ts";
import { loadPacketProgram } from "../host/bpf.ts";
import { filterIncoming } from "../host/rtnetlink.ts";
import { findLink } from "../host/rtnetlink-list.ts";
import { parseAddress, parseSubnet } from "./cidr.ts";
import { buildPortFilter } from "./port-filter.ts";

/** The host's end of the endpoint's link; undefined where there is none. */
export function hostLinkOf(tag: EngineTag, endpoint: Endpoint): string | undefined {
  return endpoint.network.record.driver === "bridge" ? vethNameFor(tag, endpoint.state.endpointId) : undefined;
}

let reported = false;

/** A kernel that is too old for it leaves the firewall alone in charge, as with Docker. */
function guardPort(
  context: NetworkContext,
  endpoint: Endpoint,
  port: { readonly hostName: string; readonly mac: Buffer },
): void {
  const { record } = endpoint.network;
  const { state, request } = endpoint;
  const texts = [state.ipv4?.address, state.ipv6?.address, ...request.linkLocalIps];
  const program = buildPortFilter({
    mac: port.mac,
    addresses: texts.flatMap((text) => parseAddress(text ?? "") ?? []),
    subnets: [...subnetsOf(record), ...linkLocalSubnets],
    internal: record.internal,
    anySource: bridgeOptions(record).allowSpoofing,
    networks: context.isolation.sets,
  });
  const index = findLink(context.netlink, port.hostName)?.index;
  if (index === undefined) return;
  try {
    const fd = loadPacketProgram(program);
    try {
      context.netlink.execute(filterIncoming(index, fd));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (!isTscomposeError(error, "host/syscall-failed")) throw error;
    if (!reported) context.log("warn", `addresses of containers are not pinned to their links: ${error.message}`);
    reported = true;
  }
}
const linkLocalSubnets = ["169.254.0.0/16"].flatMap((text) => parseSubnet(text) ?? []);

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
      const link = toInterface(endpoint);
      plugIntoBridge(context.netlink, netns, { link, port });
      guardPort(context, endpoint, { hostName: port.hostName, mac: link.mac });
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
