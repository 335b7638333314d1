/** One endpoint's link, by driver. */
import { readSysctl } from "../host/sysctl.ts";
import { createChildLink } from "./child-link.ts";
import { createPair, openPort } from "./container-links.ts";
import type { NetworkContext } from "./context.ts";
import { vethNameFor, type EngineTag } from "./names.ts";
import { bridgeOptions } from "./network-record.ts";
import { toInterface, type Endpoint } from "./plan-endpoint.ts";
import { closeSync } from "node:fs";
import { assertNever, isTscomposeError } from "../errors.ts";
import { loadPacketProgram } from "../host/bpf.ts";
import { filterIncoming, filterOutgoing, replaceIncoming } from "../host/rtnetlink.ts";
import { findLink } from "../host/rtnetlink-list.ts";
import { parseAddress, parseSubnet, type Address } from "./cidr.ts";
import { buildDropAll, buildPortFilter } from "./port-filter.ts";

/** The host's end of the endpoint's link; undefined where there is none. */
export function hostLinkOf(tag: EngineTag, endpoint: Endpoint): string | undefined {
  return endpoint.network.record.driver === "bridge" ? vethNameFor(tag, endpoint.state.endpointId) : undefined;
}

let reported = false;

/** In the kernel before the link is up. A kernel that is too old for it leaves the firewall alone in charge, as with Docker. */
function guardPort(context: NetworkContext, endpoint: Endpoint, link: string): void {
  try {
    const index = findLink(context.netlink, link)?.index;
    if (index === undefined) return;
    withProgram(filterProgram(context, endpoint, []), (fd) => context.netlink.execute(filterIncoming(index, fd)));
  } catch (error) {
    if (!isTscomposeError(error, "host/syscall-failed")) throw error;
    if (!reported) context.log("warn", `addresses of containers are not pinned to their links: ${error.message}`);
    reported = true;
  }
}

/** Another filter in the place of the one that is there. `blocked`: destinations that get nothing; `cut`: nothing passes in or out.
 *  @throws host/syscall-failed */
export function filterPort(
  context: NetworkContext,
  endpoint: Endpoint,
  port: { readonly link: string; readonly blocked: readonly Address[]; readonly cut: boolean },
): void {
  const index = findLink(context.netlink, port.link)?.index;
  if (index === undefined) return;
  const { netlink } = context;
  const program = port.cut ? buildDropAll() : filterProgram(context, endpoint, port.blocked);
  withProgram(program, (fd) => netlink.execute([replaceIncoming(index, fd)]));
  if (port.cut) withProgram(program, (fd) => netlink.execute([filterOutgoing(index, fd)]));
  else netlink.execute([filterOutgoing(index, undefined)]);
}

function withProgram(program: Buffer, use: (fd: number) => void): void {
  const fd = loadPacketProgram(program);
  try {
    use(fd);
  } finally {
    closeSync(fd);
  }
}

function filterProgram(context: NetworkContext, endpoint: Endpoint, blocked: readonly Address[]): Buffer {
  const { record } = endpoint.network;
  const { state, request } = endpoint;
  const texts = [state.ipv4?.address, state.ipv6?.address, ...request.linkLocalIps];
  return buildPortFilter({
    mac: toInterface(endpoint).mac,
    addresses: texts.flatMap((text) => parseAddress(text ?? "") ?? []),
    subnets: [...endpoint.network.subnets, ...linkLocalSubnets],
    internal: record.internal,
    blocked,
    anySource: bridgeOptions(record).allowSpoofing,
    networks: context.isolation.sets,
  });
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
      createPair(context.netlink, netns, { link, port });
      // A link that is up would have to be stopped for it, which takes a grace period of the kernel.
      guardPort(context, endpoint, port.hostName);
      openPort(context.netlink, port);
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
