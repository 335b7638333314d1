/** Which packets pass: networks and published ports as lists of rules. Pure; `render.ts` makes text of it.
 *
 *  filter FORWARD -> FWD: USER (the administrator's), CUT (partitions), replies, INT (internal networks), PORT (routed ports),
 *  IN (into our bridges), OUT (out of them). raw PREROUTING -> RAW: direct access to container addresses from elsewhere and
 *  spoofed loopback die before anything else sees them. nat: DNAT and POST.
 *  Each rule is in the form in which iptables-save prints it, so that what the kernel holds can be compared as text.
 *  Source: security.md section 7; iptables(8), iptables-extensions(8). */
import { containsSubnet, formatAddress, formatSubnet, parseSubnet, type Address, type Subnet } from "../cidr.ts";
import { anyBridgePrefix, bridgePrefix, type EngineTag } from "../names.ts";
import { bridgeOptions, type NetworkRecord } from "../network-record.ts";

export type RuleFamily = 4 | 6;
export type Table = "raw" | "nat" | "filter";
/** Chains of ours; `chainName` gives their full names. */
export type Chain = "RAW" | "RAWP" | "RAWL" | "DNAT" | "POST" | "FWD" | "CUT" | "INT" | "PORT" | "IN" | "OUT" | "INP";

export interface Rule {
  readonly family: RuleFamily;
  readonly table: Table;
  readonly chain: Chain;
  /** Matches and target, as iptables-save prints them. */
  readonly spec: string;
}

export const chainName = (tag: EngineTag, chain: Chain): string => `TSC-${tag}-${chain}`;
/** The administrator's: jumped to first, never written to. Shared by all engines. */
export const userChain = "TSCOMPOSE-USER";
/** Empty; its presence says that forwarding was off before the first of our engines turned it on. */
export const forwardingMarker = "TSCOMPOSE-FORWARDING";

const chainsOf: Readonly<Record<Table, readonly Chain[]>> = {
  raw: ["RAW", "RAWP", "RAWL"],
  nat: ["DNAT", "POST"],
  filter: ["FWD", "CUT", "INT", "PORT", "IN", "OUT", "INP"],
};
export const tables: readonly Table[] = ["raw", "nat", "filter"];
export const chainsIn = (table: Table): readonly Chain[] => chainsOf[table];

/** Rules of built-in chains that lead to ours. */
export interface Jump {
  readonly table: Table;
  readonly from: string;
  readonly spec: string;
  readonly position: "first" | "last";
}
export function jumps(tag: EngineTag, family: RuleFamily): readonly Jump[] {
  const to = (chain: Chain): string => `-j ${chainName(tag, chain)}`;
  // There is no route from ::1 to elsewhere, so local connections to it are forwarded by the engine itself.
  const notLoopback = family === 6 ? "! -d ::1/128 " : "";
  return [
    { table: "raw", from: "PREROUTING", spec: to("RAW"), position: "first" },
    { table: "nat", from: "PREROUTING", spec: `-m addrtype --dst-type LOCAL ${to("DNAT")}`, position: "last" },
    {
      table: "nat",
      from: "OUTPUT",
      spec: `${notLoopback}-m addrtype --dst-type LOCAL ${to("DNAT")}`,
      position: "last",
    },
    { table: "nat", from: "POSTROUTING", spec: to("POST"), position: "last" },
    { table: "filter", from: "FORWARD", spec: to("FWD"), position: "first" },
    { table: "filter", from: "INPUT", spec: to("INP"), position: "first" },
  ];
}

/** Bridges whose own manager decides who may enter: we let our packets pass on to its rules instead of accepting them. */
const foreignBridges = ["docker+", "br-+", "podman+", "cni+", "virbr+", "lxcbr+", "lxdbr+", "tsb+"];

/** What is there whatever networks there are. */
export function skeletonRules(tag: EngineTag, family: RuleFamily, pools: readonly Subnet[]): readonly Rule[] {
  const ours = `${bridgePrefix(tag)}+`;
  const rule = (table: Table, chain: Chain, spec: string): Rule => ({ family, table, chain, spec });
  const go = (chain: Chain): string => `-j ${chainName(tag, chain)}`;
  const replies = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT";
  const loopback = family === 4 ? "127.0.0.0/8" : "::1/128";
  return [
    rule("raw", "RAW", `-d ${loopback} ! -i lo ${go("RAWL")}`),
    ...pools
      .filter((pool) => pool.family === family)
      .map((pool) => rule("raw", "RAW", `-d ${formatSubnet(pool)} ${go("RAWP")}`)),
    rule("filter", "FWD", `-j ${userChain}`),
    rule("filter", "FWD", go("CUT")),
    rule("filter", "FWD", `-o ${ours} ${replies}`),
    rule("filter", "FWD", `-i ${ours} ${replies}`),
    rule("filter", "FWD", go("INT")),
    rule("filter", "FWD", go("PORT")),
    rule("filter", "FWD", go("IN")),
    rule("filter", "FWD", go("OUT")),
    ...foreignBridges.map((bridge) => rule("filter", "OUT", `-o ${bridge} -j RETURN`)),
  ];
}

/** Rules of one bridge network. */
export function networkRules(record: NetworkRecord, pools: readonly Subnet[]): readonly Rule[] {
  const families = [record.enableIpv4 ? 4 : undefined, record.enableIpv6 ? 6 : undefined];
  return families.flatMap((family) =>
    family === undefined ? [] : familyRules({ record, family: family as RuleFamily, pools }),
  );
}

function familyRules(network: {
  readonly record: NetworkRecord;
  readonly family: RuleFamily;
  readonly pools: readonly Subnet[];
}): readonly Rule[] {
  const { record, family } = network;
  const bridge = record.bridgeName;
  const options = bridgeOptions(record);
  const mode = family === 4 ? options.gatewayMode4 : options.gatewayMode6;
  const subnets = record.pools
    .flatMap(({ subnet }) => parseSubnet(subnet) ?? [])
    .filter((one) => one.family === family);
  const rule = (table: Table, chain: Chain, spec: string): Rule => ({ family, table, chain, spec });
  const among = `-i ${bridge} -o ${bridge} -j ${options.icc ? "ACCEPT" : "DROP"}`;
  const inPool = (subnet: Subnet): boolean => network.pools.some((pool) => containsSubnet(pool, subnet));
  const direct = mode === "nat" || record.internal;
  const raw = subnets
    .filter(() => direct)
    .map((subnet) => rule("raw", inPool(subnet) ? "RAWP" : "RAW", `-d ${formatSubnet(subnet)} ! -i ${bridge} -j DROP`));
  const spoofed = rule("raw", "RAWL", `-i ${bridge} -j DROP`);
  if (record.internal) {
    return [
      ...raw,
      spoofed,
      rule("filter", "INT", `-i ${bridge} ! -o ${bridge} -j DROP`),
      rule("filter", "INT", `! -i ${bridge} -o ${bridge} -j DROP`),
      rule("filter", "IN", among),
      rule("filter", "INP", `-i ${bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN`),
      // Neighbours must find each other; without it IPv6 has no addresses to send to.
      ...(family === 6 ? [rule("filter", "INP", `-i ${bridge} -p ipv6-icmp -j RETURN`)] : []),
      rule("filter", "INP", `-i ${bridge} -j DROP`),
    ];
  }
  return [
    ...raw,
    spoofed,
    ...(mode === "routed" ? [] : sourceNat(record, { family, subnets })),
    rule("filter", "IN", `-o ${bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`),
    rule("filter", "IN", `-o ${bridge} -m conntrack --ctstate DNAT -j ACCEPT`),
    rule("filter", "IN", among),
    ...(mode === "routed"
      ? [rule("filter", "IN", `-o ${bridge} -p ${family === 4 ? "icmp" : "ipv6-icmp"} -j ACCEPT`)]
      : []),
    rule("filter", "IN", `-o ${bridge} -j ${mode === "nat-unprotected" ? "ACCEPT" : "DROP"}`),
    rule("filter", "OUT", `-i ${bridge} -j ACCEPT`),
  ];
}

function sourceNat(
  record: NetworkRecord,
  network: { readonly family: RuleFamily; readonly subnets: readonly Subnet[] },
): readonly Rule[] {
  const { family } = network;
  const bridge = record.bridgeName;
  const options = bridgeOptions(record);
  const own = family === 4 ? options.hostIpv4 : options.hostIpv6;
  const target = own === undefined ? "MASQUERADE" : `SNAT --to-source ${formatAddress(own)}`;
  const rule = (spec: string): Rule => ({ family, table: "nat", chain: "POST", spec });
  const plain = options.masquerade && own === undefined;
  return [
    // On the way to published ports of other networks the address is changed in any case: answers could not come back directly.
    ...(plain
      ? []
      : network.subnets.map((subnet) =>
          rule(`-s ${formatSubnet(subnet)} -o ${anyBridgePrefix}+ -m conntrack --ctstate DNAT -j MASQUERADE`),
        )),
    ...(options.masquerade || own !== undefined
      ? network.subnets.map((subnet) => rule(`-s ${formatSubnet(subnet)} ! -o ${bridge} -j ${target}`))
      : []),
    // A published port reached from the same network: without this the answer would take the short way and be refused.
    ...network.subnets.map((subnet) =>
      rule(
        `-s ${formatSubnet(subnet)} -d ${formatSubnet(subnet)} -o ${bridge} -m conntrack --ctstate DNAT -j MASQUERADE`,
      ),
    ),
    ...(family === 4 ? [rule(`-s 127.0.0.0/8 -o ${bridge} -j MASQUERADE`)] : []),
  ];
}

export interface PublishedPort {
  readonly protocol: "tcp" | "udp" | "sctp";
  /** undefined: every address of the family. */
  readonly hostAddress: Address | undefined;
  readonly hostPort: number;
  readonly container: Address;
  readonly containerPort: number;
  readonly bridgeName: string;
  readonly mode: "nat" | "nat-unprotected" | "routed";
  /** One of several targets of the port; absent: the only one. */
  readonly turn?: PortTurn;
}
/** The rule takes one of `every` of the connections that reach it; 1: all of them. `mark` is the same in the rules of all targets and
 *  another one when the targets change: then all rules are written again, in their order. */
export interface PortTurn {
  readonly every: number;
  readonly mark: string;
}

/** Rules of one published port of one family. Loopback addresses are reachable from this host alone. */
export function portRules(port: PublishedPort): readonly Rule[] {
  const family: RuleFamily = port.container.family;
  const protocol = `-p ${port.protocol} -m ${port.protocol}`;
  const full = family === 4 ? 32 : 128;
  const target = formatAddress(port.container);
  if (port.mode === "routed") {
    const spec = `-d ${target}/${full} -o ${port.bridgeName} ${protocol} --dport ${port.containerPort} -j ACCEPT`;
    return [{ family, table: "filter", chain: "PORT", spec }];
  }
  const { hostAddress } = port;
  const at = hostAddress === undefined ? "" : `-d ${formatAddress(hostAddress)}/${full} `;
  const socket = family === 4 ? `${target}:${port.containerPort}` : `[${target}]:${port.containerPort}`;
  const dnat: Rule = {
    family,
    table: "nat",
    chain: "DNAT",
    spec: `${at}${protocol} --dport ${port.hostPort}${turnMatches(port.turn)} -j DNAT --to-destination ${socket}`,
  };
  if (hostAddress === undefined || !isLoopback(hostAddress)) return [dnat];
  return [{ family, table: "raw", chain: "RAWL", spec: `${at}${protocol} --dport ${port.hostPort} -j DROP` }, dnat];
}

/** A port of the host's 127.0.0.1 for one container, at the host's address in its network. IPv4 alone: the kernel routes nothing to
 *  ::1. The container is told by address and bridge, which the program on its link pins to it. */
export function hostAccessRules(access: {
  readonly container: Address;
  readonly gateway: Address;
  readonly bridgeName: string;
  readonly port: number;
  readonly protocol: "tcp" | "udp" | "sctp";
}): readonly Rule[] {
  const { protocol, port, bridgeName } = access;
  const from = `-s ${formatAddress(access.container)}/32`;
  const match = `-i ${bridgeName} -p ${protocol} -m ${protocol} --dport ${port}`;
  return [
    {
      family: 4,
      table: "nat",
      chain: "DNAT",
      spec: `${from} -d ${formatAddress(access.gateway)}/32 ${match} -j DNAT --to-destination 127.0.0.1:${port}`,
    },
    {
      family: 4,
      table: "filter",
      chain: "INP",
      spec: `${from} -d 127.0.0.1/32 ${match} -m conntrack --ctstate DNAT -j ACCEPT`,
    },
  ];
}

function turnMatches(turn: PortTurn | undefined): string {
  if (turn === undefined) return "";
  const nth = turn.every === 1 ? "" : ` -m statistic --mode nth --every ${turn.every} --packet 0`;
  return `${nth} -m comment --comment ${turn.mark}`;
}

export function isLoopback(address: Address): boolean {
  return address.family === 4 ? address.value >> 24n === 127n : address.value === 1n;
}
