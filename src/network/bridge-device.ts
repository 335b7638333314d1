/** The bridge of a network in the kernel: link, addresses, parameters. Repeatable: what is there already is kept. */
import { TscomposeError } from "../errors.ts";
import type { NetlinkSocket } from "../host/netlink.ts";
import { addAddress, createBridge, setLinkUp } from "../host/rtnetlink.ts";
import { findLink, listAddresses } from "../host/rtnetlink-list.ts";
import { writeSysctlIfPresent } from "../host/sysctl.ts";
import { addressBytes, parseAddress, parseSubnet, type Subnet } from "./cidr.ts";
import { macForAddress } from "./names.ts";
import { bridgeOptions, defaultMtu, type NetworkRecord } from "./network-record.ts";

/** @returns the index of the bridge. @throws network/invalid when the name belongs to a link of another kind */
export function ensureBridge(socket: NetlinkSocket, record: NetworkRecord): number {
  const { bridgeName: name } = record;
  const options = bridgeOptions(record);
  const found = findLink(socket, name);
  if (found !== undefined && found.kind !== "bridge") {
    throw new TscomposeError("network/invalid", `interface ${name} exists and is no bridge`, {
      details: { interface: name, network: record.name },
      hint: "choose another com.docker.network.bridge.name",
    });
  }
  const gateways = gatewaysOf(record);
  if (found === undefined) {
    const mac = macForAddress(gateways[0]?.address ?? Buffer.from(record.id.slice(0, 32), "hex"));
    socket.execute([createBridge({ name, mac, mtu: options.mtu === defaultMtu ? undefined : options.mtu })]);
  }
  const index = found?.index ?? findLink(socket, name)?.index;
  if (index === undefined) throw new Error(`bridge ${name} vanished`);
  setParameters(name, record);
  socket.execute([
    ...(found === undefined || found.up ? [] : [setLinkUp(index)]),
    ...hostAddresses(record).map(({ address, subnet }) =>
      addAddress(index, address, subnet?.prefixLength ?? address.length * 8),
    ),
  ]);
  return index;
}

interface Gateway {
  readonly address: Buffer;
  readonly subnet: Subnet | undefined;
}
function gatewaysOf(record: NetworkRecord): readonly Gateway[] {
  return record.pools.flatMap(({ subnet, gateway }) => {
    const address = parseAddress(gateway ?? "");
    return address === undefined ? [] : [{ address: addressBytes(address), subnet: parseSubnet(subnet) }];
  });
}

/** Those that the bridge itself has. */
function hostAddresses(record: NetworkRecord): readonly Gateway[] {
  const options = bridgeOptions(record);
  return gatewaysOf(record).filter(({ address }) => {
    const mode = address.length === 4 ? options.gatewayMode4 : options.gatewayMode6;
    return !(record.internal && mode === "isolated");
  });
}

/** Whether the bridge is there, up, and has its addresses. */
export function isWhole(socket: NetlinkSocket, record: NetworkRecord): boolean {
  const link = findLink(socket, record.bridgeName);
  if (link?.kind !== "bridge" || !link.up) return false;
  const found = listAddresses(socket).filter(({ index }) => index === link.index);
  return hostAddresses(record).every(({ address }) => found.some((one) => one.address.equals(address)));
}

/** Router advertisements from a container must not change the host's routes; a network without IPv6 has none at all. */
function setParameters(name: string, record: NetworkRecord): void {
  writeSysctlIfPresent(`net/ipv6/conf/${name}/accept_ra`, "0");
  writeSysctlIfPresent(`net/ipv6/conf/${name}/disable_ipv6`, record.enableIpv6 ? "0" : "1");
  // Replies to connections that were made to 127.0.0.1 come back through the bridge; packets that merely claim to are dropped
  // by the raw table.
  if (record.enableIpv4 && !record.internal) writeSysctlIfPresent(`net/ipv4/conf/${name}/route_localnet`, "1");
}
