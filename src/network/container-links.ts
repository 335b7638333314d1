/** The container's end of its networks: interfaces, addresses, routes, made from outside through netlink. */
import type { NetlinkMessage, NetlinkSocket } from "../host/netlink.ts";
import { inNetns } from "../host/netns.ts";
import {
  addAddress,
  addRoute,
  createVeth,
  removeRoute,
  setBridgePort,
  setLinkUp,
  setRoute,
} from "../host/rtnetlink.ts";
import { writeSysctl, writeSysctlIfPresent } from "../host/sysctl.ts";
import { TscomposeError } from "../errors.ts";

export interface InterfaceAddress {
  /** 4 or 16 bytes. */
  readonly address: Buffer;
  readonly prefixLength: number;
  readonly gateway: Buffer | undefined;
}
export interface ContainerInterface {
  readonly name: string;
  /** Number inside the namespace. */
  readonly index: number;
  readonly mac: Buffer;
  readonly mtu: number;
  readonly ipv4: InterfaceAddress | undefined;
  readonly ipv6: InterfaceAddress | undefined;
  readonly linkLocal: readonly Buffer[];
}
export interface BridgePort {
  readonly hostName: string;
  readonly bridgeIndex: number;
  readonly isolated: boolean;
  readonly hairpin: boolean;
}

/** What Docker gives every container: binding low ports and ping need no capability inside it. */
const defaultSysctls: Readonly<Record<string, string>> = {
  "net.ipv4.ip_unprivileged_port_start": "0",
  "net.ipv4.ping_group_range": "0 2147483647",
};

/** Parameters of a fresh namespace, before there is an interface in it.
 *  @throws request/invalid for one outside `net.`; host/unsupported */
export function prepareNamespace(netns: number, sysctls: Readonly<Record<string, string>>): void {
  for (const key of Object.keys(sysctls)) {
    if (key.startsWith("net.") || key.startsWith("net/")) continue;
    throw new TscomposeError("request/invalid", `sysctl ${key} does not belong to a network namespace`, {
      details: { sysctl: key },
    });
  }
  inNetns(netns, () => {
    writeSysctlIfPresent("net.ipv6.conf.default.accept_ra", "0");
    writeSysctlIfPresent("net.ipv6.conf.default.accept_dad", "0");
    writeSysctlIfPresent("net.ipv6.conf.default.disable_ipv6", "1");
    for (const [key, value] of Object.entries({ ...defaultSysctls, ...sysctls })) {
      if (!isPerInterface(key)) writeSysctl(key, value);
    }
  });
}

/** Those that name an interface, once it is there. */
export function applyInterfaceSysctls(netns: number, sysctls: Readonly<Record<string, string>>): void {
  const entries = Object.entries(sysctls).filter(([key]) => isPerInterface(key));
  if (entries.length === 0) return;
  inNetns(netns, () => {
    for (const [key, value] of entries) writeSysctl(key, value);
  });
}

function isPerInterface(key: string): boolean {
  const match = /^net[./]ipv[46][./](?:conf|neigh)[./]([^./]+)[./]/.exec(key);
  return match !== null && match[1] !== "all" && match[1] !== "default" && match[1] !== "lo";
}

/** A veth pair between the bridge and the container. The container's end has no address, the host's end is down. */
export function createPair(
  host: NetlinkSocket,
  netns: number,
  pair: { readonly link: ContainerInterface; readonly port: BridgePort },
): void {
  const { link, port } = pair;
  host.execute([
    createVeth({
      name: port.hostName,
      mtu: link.mtu,
      master: port.bridgeIndex,
      peer: { name: link.name, netnsFd: netns, mac: link.mac },
    }),
  ]);
}

/** Sets the host's end up. */
export function openPort(host: NetlinkSocket, port: BridgePort): void {
  host.execute([setBridgePort(port.hostName, { isolated: port.isolated, hairpin: port.hairpin })]);
}

/** Brings lo and these interfaces up, with their addresses. */
export function configureInterfaces(inside: NetlinkSocket, netns: number, links: readonly ContainerInterface[]): void {
  const v6 = links.filter((link) => link.ipv6 !== undefined || link.linkLocal.some((one) => one.length === 16));
  if (v6.length > 0) {
    inNetns(netns, () => {
      for (const link of v6) writeSysctlIfPresent(`net/ipv6/conf/${link.name}/disable_ipv6`, "0");
    });
  }
  inside.execute([setLinkUp(1), ...links.flatMap((link) => interfaceMessages(link))]);
}

function interfaceMessages(link: ContainerInterface): readonly NetlinkMessage[] {
  const addresses = [link.ipv4, link.ipv6].flatMap((one) =>
    one === undefined ? [] : [addAddress(link.index, one.address, one.prefixLength)],
  );
  const linkLocal = link.linkLocal.map((address) => addAddress(link.index, address, address.length === 4 ? 16 : 64));
  return [setLinkUp(link.index), ...addresses, ...linkLocal];
}

export interface DefaultRoute {
  readonly index: number;
  readonly gateway: Buffer | undefined;
}
/** Replaces the default routes; undefined: none of that family. */
export function setDefaultRoutes(
  inside: NetlinkSocket,
  routes: { readonly 4: DefaultRoute | undefined; readonly 6: DefaultRoute | undefined },
  before: { readonly 4: DefaultRoute | undefined; readonly 6: DefaultRoute | undefined } = {
    4: undefined,
    6: undefined,
  },
): void {
  const messages = ([4, 6] as const).flatMap((family) => {
    const [wanted, old] = [routes[family], before[family]];
    if (wanted?.index === old?.index && sameBytes(wanted?.gateway, old?.gateway)) return [];
    const message = (route: DefaultRoute): Parameters<typeof setRoute>[0] => ({
      family,
      destination: undefined,
      index: route.index,
      gateway: route.gateway,
    });
    return [
      ...(old === undefined ? [] : [removeRoute(message(old))]),
      ...(wanted === undefined ? [] : [family === 4 ? setRoute(message(wanted)) : addRoute(message(wanted))]),
    ];
  });
  inside.execute(messages);
}

function sameBytes(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b);
}
