/** rtnetlink messages for links, addresses, routes and bridge ports. Pure; what there is already tells `rtnetlink-list.ts`.
 *  Source: rtnetlink(7), linux/if_link.h, linux/if_addr.h, linux/rtnetlink.h, linux/veth.h. */
import {
  attribute,
  nested,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  textAttribute,
  u8Attribute,
  u32Attribute,
  type NetlinkMessage,
} from "./netlink.ts";

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_NEWADDR = 20;
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_MASTER = 10;
const IFLA_LINKINFO = 18;
const IFLA_AF_SPEC = 26;
const IFLA_NET_NS_FD = 28;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_INFO_SLAVE_KIND = 4;
const IFLA_INFO_SLAVE_DATA = 5;
const VETH_INFO_PEER = 1;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const IN6_ADDR_GEN_MODE_NONE = 1;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
const IFA_FLAGS = 8;
const IFA_F_NODAD = 2;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RT_TABLE_MAIN = 254;
const RTPROT_BOOT = 3;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
const RTN_UNICAST = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const IFF_UP = 1;

const family = (address: Buffer): number => (address.length === 4 ? AF_INET : AF_INET6);

function linkHeader(options: { readonly index?: number; readonly up?: boolean; readonly family?: number }): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt8(options.family ?? 0, 0);
  header.writeInt32LE(options.index ?? 0, 4);
  if (options.up !== undefined) {
    header.writeUInt32LE(options.up ? IFF_UP : 0, 8);
    header.writeUInt32LE(IFF_UP, 12);
  }
  return header;
}

/** No address of its own: for the host's end of a veth pair, which is only a port. */
const noLinkLocal = nested(IFLA_AF_SPEC, [
  nested(AF_INET6, [u8Attribute(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE)]),
]);

export interface VethRequest {
  readonly name: string;
  readonly mtu: number;
  /** Index of the bridge. */
  readonly master: number | undefined;
  readonly peer: {
    readonly name: string;
    readonly netnsFd: number;
    /** Six bytes. */
    readonly mac: Buffer;
  };
}
/** A veth pair whose peer is born inside the other namespace: moving it there would wait for a grace period of the kernel.
 *  Both ends are down: an end cannot be brought up before the other is known to it. */
export function createVeth(request: VethRequest): NetlinkMessage {
  const { peer } = request;
  const peerBody = Buffer.concat([
    linkHeader({}),
    textAttribute(IFLA_IFNAME, peer.name),
    u32Attribute(IFLA_MTU, request.mtu),
    attribute(IFLA_ADDRESS, peer.mac),
    u32Attribute(IFLA_NET_NS_FD, peer.netnsFd),
  ]);
  const body = Buffer.concat([
    linkHeader({}),
    textAttribute(IFLA_IFNAME, request.name),
    u32Attribute(IFLA_MTU, request.mtu),
    ...(request.master === undefined ? [] : [u32Attribute(IFLA_MASTER, request.master)]),
    nested(IFLA_LINKINFO, [
      textAttribute(IFLA_INFO_KIND, "veth"),
      nested(IFLA_INFO_DATA, [nested(VETH_INFO_PEER, [peerBody])]),
    ]),
  ]);
  return {
    type: RTM_NEWLINK,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body,
    subject: `create veth ${request.name} with peer ${peer.name}`,
  };
}

/** Options of a bridge device, without spanning tree and without delay before a port forwards. */
export function createBridge(request: {
  readonly name: string;
  readonly mac: Buffer;
  readonly mtu: number | undefined;
}): NetlinkMessage {
  const IFLA_BR_FORWARD_DELAY = 1;
  const IFLA_BR_STP_STATE = 5;
  const body = Buffer.concat([
    linkHeader({ up: true }),
    textAttribute(IFLA_IFNAME, request.name),
    attribute(IFLA_ADDRESS, request.mac),
    ...(request.mtu === undefined ? [] : [u32Attribute(IFLA_MTU, request.mtu)]),
    nested(IFLA_LINKINFO, [
      textAttribute(IFLA_INFO_KIND, "bridge"),
      nested(IFLA_INFO_DATA, [u32Attribute(IFLA_BR_FORWARD_DELAY, 0), u32Attribute(IFLA_BR_STP_STATE, 0)]),
    ]),
  ]);
  return { type: RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, body, subject: `create bridge ${request.name}` };
}

/** Sets the host's end of a pair up, as a port without an address of its own. */
export function setBridgePort(
  name: string,
  options: { readonly isolated: boolean; readonly hairpin: boolean },
): NetlinkMessage {
  const IFLA_BRPORT_MODE = 4;
  const IFLA_BRPORT_ISOLATED = 33;
  const data = [
    ...(options.hairpin ? [u8Attribute(IFLA_BRPORT_MODE, 1)] : []),
    ...(options.isolated ? [u8Attribute(IFLA_BRPORT_ISOLATED, 1)] : []),
  ];
  const body = Buffer.concat([
    linkHeader({ up: true }),
    textAttribute(IFLA_IFNAME, name),
    noLinkLocal,
    ...(data.length === 0
      ? []
      : [nested(IFLA_LINKINFO, [textAttribute(IFLA_INFO_SLAVE_KIND, "bridge"), nested(IFLA_INFO_SLAVE_DATA, data)])]),
  ]);
  return { type: RTM_NEWLINK, flags: 0, body, subject: `set bridge port ${name}` };
}

/** macvlan and ipvlan, born inside the other namespace. */
export function createChild(request: {
  readonly kind: "macvlan" | "ipvlan" | "vlan" | "dummy";
  readonly name: string;
  readonly index?: number;
  /** Index of the parent in the host's namespace. */
  readonly parent: number | undefined;
  readonly netnsFd?: number;
  readonly mac?: Buffer;
  readonly mtu?: number;
  readonly up: boolean;
  readonly data: readonly Buffer[];
}): NetlinkMessage {
  const body = Buffer.concat([
    linkHeader({ ...(request.index === undefined ? {} : { index: request.index }), up: request.up }),
    textAttribute(IFLA_IFNAME, request.name),
    ...(request.parent === undefined ? [] : [u32Attribute(IFLA_LINK, request.parent)]),
    ...(request.mac === undefined ? [] : [attribute(IFLA_ADDRESS, request.mac)]),
    ...(request.mtu === undefined ? [] : [u32Attribute(IFLA_MTU, request.mtu)]),
    ...(request.netnsFd === undefined ? [] : [u32Attribute(IFLA_NET_NS_FD, request.netnsFd)]),
    nested(IFLA_LINKINFO, [
      textAttribute(IFLA_INFO_KIND, request.kind),
      ...(request.data.length === 0 ? [] : [nested(IFLA_INFO_DATA, request.data)]),
    ]),
  ]);
  return {
    type: RTM_NEWLINK,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body,
    subject: `create ${request.kind} ${request.name}`,
  };
}

export function deleteLink(name: string): NetlinkMessage {
  const body = Buffer.concat([linkHeader({}), textAttribute(IFLA_IFNAME, name)]);
  return { type: RTM_DELLINK, flags: 0, body, subject: `delete link ${name}`, accept: ["ENODEV"] };
}

/** By index; `lo` is 1 in every namespace. */
export function setLinkUp(index: number, up = true): NetlinkMessage {
  return { type: RTM_NEWLINK, flags: 0, body: linkHeader({ index, up }), subject: `set link ${index} up` };
}

/** Makes a link a port of a bridge. */
export function enslave(index: number, master: number): NetlinkMessage {
  const body = Buffer.concat([linkHeader({ index, up: true }), u32Attribute(IFLA_MASTER, master)]);
  return { type: RTM_NEWLINK, flags: 0, body, subject: `plug link ${index} into ${master}` };
}

/** @param address 4 or 16 bytes. IPv6: without duplicate address detection, which would hold it back for a second */
export function addAddress(index: number, address: Buffer, prefixLength: number): NetlinkMessage {
  const body = Buffer.concat([
    addressHeader(index, address, prefixLength),
    ...addressAttributes(address, prefixLength),
  ]);
  return {
    type: RTM_NEWADDR,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body,
    subject: `add address ${show(address)}/${prefixLength}`,
    accept: ["EEXIST"],
  };
}

function addressHeader(index: number, address: Buffer, prefixLength: number): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(family(address), 0);
  header.writeUInt8(prefixLength, 1);
  header.writeUInt8(isLinkLocal(address) ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE, 3);
  header.writeUInt32LE(index, 4);
  return header;
}

function addressAttributes(address: Buffer, prefixLength: number): readonly Buffer[] {
  const both = [attribute(IFA_LOCAL, address), attribute(IFA_ADDRESS, address)];
  if (address.length === 16) return [...both, u32Attribute(IFA_FLAGS, IFA_F_NODAD)];
  if (prefixLength > 30) return both;
  const broadcast = Buffer.alloc(4);
  broadcast.writeUInt32BE((address.readUInt32BE(0) | (0xffffffff >>> prefixLength)) >>> 0);
  return [...both, attribute(IFA_BROADCAST, broadcast)];
}

const isLinkLocal = (address: Buffer): boolean =>
  address.length === 4
    ? address[0] === 169 && address[1] === 254
    : address[0] === 0xfe && ((address[1] ?? 0) & 0xc0) === 0x80;

const show = (address: Buffer): string =>
  address.length === 4 ? [...address].join(".") : (address.toString("hex").match(/.{4}/g) ?? []).join(":");

export interface RouteRequest {
  readonly index: number;
  /** undefined: the default route. */
  readonly destination: { readonly address: Buffer; readonly prefixLength: number } | undefined;
  /** undefined: on the link. */
  readonly gateway: Buffer | undefined;
  readonly family: 4 | 6;
  readonly metric?: number;
}
function routeBody(request: RouteRequest): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt8(request.family === 4 ? AF_INET : AF_INET6, 0);
  header.writeUInt8(request.destination?.prefixLength ?? 0, 1);
  header.writeUInt8(RT_TABLE_MAIN, 4);
  header.writeUInt8(RTPROT_BOOT, 5);
  header.writeUInt8(request.gateway === undefined ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE, 6);
  header.writeUInt8(RTN_UNICAST, 7);
  return Buffer.concat([
    header,
    ...(request.destination === undefined ? [] : [attribute(RTA_DST, request.destination.address)]),
    ...(request.gateway === undefined ? [] : [attribute(RTA_GATEWAY, request.gateway)]),
    ...(request.metric === undefined ? [] : [u32Attribute(RTA_PRIORITY, request.metric)]),
    u32Attribute(RTA_OIF, request.index),
  ]);
}
/** Replaces a route to the same destination. */
export function setRoute(request: RouteRequest): NetlinkMessage {
  return {
    type: RTM_NEWROUTE,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    body: routeBody(request),
    subject: `set route via ${request.gateway === undefined ? `link ${request.index}` : show(request.gateway)}`,
  };
}
export function addRoute(request: RouteRequest): NetlinkMessage {
  return { ...setRoute(request), flags: NLM_F_CREATE | NLM_F_APPEND, accept: ["EEXIST"] };
}
export function removeRoute(request: RouteRequest): NetlinkMessage {
  return {
    type: RTM_DELROUTE,
    flags: 0,
    body: routeBody(request),
    subject: "remove route",
    accept: ["ESRCH", "ENODEV"],
  };
}

const TC_INGRESS = 0xfffffff2;
const TC_EGRESS = 0xfffffff3;
const firstOfAllProtocols = (1 << 16) | 0x0300;
const TC_CLSACT = 0xfffffff1;
const TCA_KIND = 1;

function trafficHeader(index: number, handle: number, at: { readonly parent: number; readonly info: number }): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt32LE(handle, 8);
  bytes.writeUInt32LE(at.parent, 12);
  bytes.writeUInt32LE(at.info, 16);
  return bytes;
}

function packetFilter(
  index: number,
  programFd: number,
  at: { readonly parent: number; readonly handle: number },
): Buffer {
  const TCA_OPTIONS = 2;
  const TCA_BPF_FD = 6;
  const TCA_BPF_NAME = 7;
  const TCA_BPF_FLAGS = 8;
  const directAction = 1;
  return Buffer.concat([
    trafficHeader(index, at.handle, { parent: at.parent, info: firstOfAllProtocols }),
    textAttribute(TCA_KIND, "bpf"),
    nested(TCA_OPTIONS, [
      u32Attribute(TCA_BPF_FD, programFd),
      textAttribute(TCA_BPF_NAME, "tscompose"),
      u32Attribute(TCA_BPF_FLAGS, directAction),
    ]),
  ]);
}

const RTM_NEWTFILTER = 44;
/** Puts a program in front of all that a link receives: it stays when this process ends, and goes with the link.
 *  Source: linux/pkt_sched.h (clsact), linux/pkt_cls.h (bpf). */
export function filterIncoming(index: number, programFd: number): readonly NetlinkMessage[] {
  const RTM_NEWQDISC = 36;
  const qdisc = trafficHeader(index, 0xffff0000, { parent: TC_CLSACT, info: 0 });
  return [
    {
      type: RTM_NEWQDISC,
      flags: NLM_F_CREATE | NLM_F_EXCL,
      body: Buffer.concat([qdisc, textAttribute(TCA_KIND, "clsact")]),
      subject: `make classifier of link ${index}`,
    },
    {
      type: RTM_NEWTFILTER,
      flags: NLM_F_CREATE | NLM_F_EXCL,
      body: packetFilter(index, programFd, { parent: TC_INGRESS, handle: 0 }),
      subject: `filter what link ${index} receives`,
    },
  ];
}

/** Another program in the place of the one that `filterIncoming` put there, without a gap: the kernel gave that one handle 1. */
export function replaceIncoming(index: number, programFd: number): NetlinkMessage {
  return {
    type: RTM_NEWTFILTER,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    body: packetFilter(index, programFd, { parent: TC_INGRESS, handle: 1 }),
    subject: `replace the filter of link ${index}`,
  };
}

/** Puts a program in front of all that a link sends, or takes it away. The link has a classifier from `filterIncoming`. */
export function filterOutgoing(index: number, programFd: number | undefined): NetlinkMessage {
  const RTM_DELTFILTER = 45;
  if (programFd !== undefined) {
    return {
      type: RTM_NEWTFILTER,
      flags: NLM_F_CREATE | NLM_F_REPLACE,
      body: packetFilter(index, programFd, { parent: TC_EGRESS, handle: 1 }),
      subject: `filter what link ${index} sends`,
    };
  }
  const body = trafficHeader(index, 1, { parent: TC_EGRESS, info: firstOfAllProtocols });
  return {
    type: RTM_DELTFILTER,
    flags: 0,
    body: Buffer.concat([body, textAttribute(TCA_KIND, "bpf")]),
    subject: `let link ${index} send again`,
    accept: ["ENOENT", "EINVAL"],
  };
}
