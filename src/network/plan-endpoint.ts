/** Endpoint requests -> interfaces, default routes, zone entries. Pure but for the address leases of the networks. */
import { createHash, randomBytes } from "node:crypto";
import { TscomposeError } from "../errors.ts";
import { addressBytes, formatAddress } from "./cidr.ts";
import type { ContainerInterface, DefaultRoute } from "./container-links.ts";
import { bytesOf, type LeasedAddress, type LiveNetwork } from "./live-network.ts";
import { formatMac, macForAddress, parseMac } from "./names.ts";
import { bridgeOptions } from "./network-record.ts";
import type { EndpointRequest, EndpointState } from "./types.ts";
import { isInterfaceName } from "./validate-network.ts";

export interface Endpoint {
  readonly network: LiveNetwork;
  readonly request: EndpointRequest;
  readonly state: EndpointState;
  /** Number of its interface inside the namespace; 0 until it is there. */
  readonly index: number;
}

export interface EndpointPlace {
  /** Names of interfaces that are there. */
  readonly takenNames: ReadonlySet<string>;
  readonly previous: EndpointState | undefined;
}

/** Takes addresses: release them with `releaseEndpoint` when the rest fails.
 *  @throws network/invalid, network/address-in-use, network/pool-exhausted */
export function planEndpoint(network: LiveNetwork, request: EndpointRequest, place: EndpointPlace): Endpoint {
  const asked = request.macAddress;
  const mac = asked === undefined || asked === "" ? undefined : parseMac(asked);
  if (asked !== undefined && asked !== "" && mac === undefined) {
    throw new TscomposeError("network/invalid", `invalid MAC address ${JSON.stringify(asked)}`, {
      hint: "give six hexadecimal bytes of a unicast address, as in 02:42:ac:11:00:03",
    });
  }
  const interfaceName = chooseInterfaceName(network, request, place.takenNames);
  const ipv4 = network.lease(4, request, place.previous);
  let ipv6: LeasedAddress | undefined;
  try {
    ipv6 = network.lease(6, request, place.previous);
  } catch (error) {
    if (ipv4 !== undefined) network.release(ipv4.address);
    throw error;
  }
  const first = ipv4 ?? ipv6;
  const macBytes = mac ?? (first === undefined ? randomMac() : macForAddress(addressBytes(first.address)));
  const state: EndpointState = {
    networkId: network.id,
    networkName: network.name,
    endpointId: createHash("sha256").update(randomBytes(32)).digest("hex"),
    interfaceName,
    macAddress: formatMac(macBytes),
    ipv4: toState(ipv4),
    ipv6: toState(ipv6),
  };
  return { network, request, state, index: 0 };
}

function randomMac(): Buffer {
  return Buffer.concat([Buffer.of(0x02, 0x42), randomBytes(4)]);
}

function toState(leased: LeasedAddress | undefined): EndpointState["ipv4"] {
  if (leased === undefined) return undefined;
  const { address, prefixLength, gateway } = leased;
  return {
    address: formatAddress(address),
    prefixLength,
    gateway: gateway === undefined ? "" : formatAddress(gateway),
  };
}

function chooseInterfaceName(network: LiveNetwork, request: EndpointRequest, taken: ReadonlySet<string>): string {
  const asked = request.driverOptions["com.docker.network.endpoint.ifname"];
  if (asked !== undefined && asked !== "") {
    if (!isInterfaceName(asked) || taken.has(asked)) {
      throw new TscomposeError("network/invalid", `interface name ${JSON.stringify(asked)} cannot be used`, {
        details: { network: network.name },
        hint: "an interface name has at most 15 letters, digits, '_', '.' or '-', and is used once in a container",
      });
    }
    return asked;
  }
  const prefix = bridgeOptions(network.record).interfacePrefix;
  for (let n = 0; ; n += 1) if (!taken.has(`${prefix}${n}`)) return `${prefix}${n}`;
}

export function toInterface(endpoint: Endpoint): ContainerInterface {
  const { state, request, network } = endpoint;
  const address = (one: EndpointState["ipv4"]): ContainerInterface["ipv4"] => {
    const bytes = bytesOf(one?.address);
    if (one === undefined || bytes === undefined) return undefined;
    return { address: bytes, prefixLength: one.prefixLength, gateway: bytesOf(one.gateway) };
  };
  return {
    name: state.interfaceName,
    index: endpoint.index,
    mac: parseMac(state.macAddress) ?? randomMac(),
    mtu: bridgeOptions(network.record).mtu,
    ipv4: address(state.ipv4),
    ipv6: address(state.ipv6),
    linkLocal: request.linkLocalIps.flatMap((text) => bytesOf(text) ?? []),
  };
}

/** The endpoint of the default route of a family: highest priority, then by name of the network. */
export function gatewayEndpoint(endpoints: Iterable<Endpoint>, family: 4 | 6): Endpoint | undefined {
  return [...endpoints]
    .filter(({ state, network }) => {
      const address = family === 4 ? state.ipv4 : state.ipv6;
      return address !== undefined && (address.gateway !== "" || isLayer3(network));
    })
    .toSorted(
      (a, b) => b.request.gatewayPriority - a.request.gatewayPriority || (a.network.name < b.network.name ? -1 : 1),
    )[0];
}
/** ipvlan in the l3 modes has no gateway: everything goes out on the link. */
const isLayer3 = (network: LiveNetwork): boolean =>
  network.record.driver === "ipvlan" &&
  !network.record.internal &&
  (network.record.options["ipvlan_mode"] ?? "").startsWith("l3");

export function defaultRoute(endpoints: Iterable<Endpoint>, family: 4 | 6): DefaultRoute | undefined {
  const endpoint = gatewayEndpoint(endpoints, family);
  if (endpoint === undefined) return undefined;
  const gateway = (family === 4 ? endpoint.state.ipv4 : endpoint.state.ipv6)?.gateway;
  return { index: endpoint.index, gateway: bytesOf(gateway) };
}

/** `IFNAME` in the option stands for the interface. */
export function endpointSysctls(endpoint: Endpoint): Readonly<Record<string, string>> {
  const text = endpoint.request.driverOptions["com.docker.network.endpoint.sysctls"] ?? "";
  const pairs = text.split(",").flatMap((pair) => {
    const match = /^\s*(net\.[^=]+?)\s*=\s*(.*)$/.exec(pair);
    if (match === null) return [];
    return [[(match[1] ?? "").replace("IFNAME", endpoint.state.interfaceName), match[2] ?? ""] as const];
  });
  return Object.fromEntries(pairs);
}

/** Names the member answers to: its name first (reverse lookups give it), then aliases, host name, short id. */
export function memberNames(
  container: { readonly containerId: string; readonly containerName: string; readonly hostname: string },
  aliases: readonly string[],
): readonly string[] {
  const all = [container.containerName, ...aliases, container.hostname, container.containerId.slice(0, 12)];
  return [...new Set(all.filter((name) => name !== ""))];
}
