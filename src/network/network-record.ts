/** What is stored of a network, and what is read out of its options. Pure. */
import type { Labels, NetworkInspect } from "../engine/types.ts";
import { parseAddress, parseSubnet, type Address, type Subnet } from "./cidr.ts";

/** `null` is what Docker calls the driver of the network `none`. */
export type NetworkDriver = "bridge" | "host" | "null" | "macvlan" | "ipvlan";

export interface PoolRecord {
  readonly subnet: string;
  readonly range: string | undefined;
  readonly gateway: string | undefined;
  readonly auxiliary: Readonly<Record<string, string>>;
  /** Asked for by the user: static addresses are allowed. */
  readonly configured: boolean;
}

export interface NetworkRecord {
  readonly version: 1;
  /** 64 hex digits. */
  readonly id: string;
  readonly name: string;
  /** RFC 3339 with nanoseconds. */
  readonly created: string;
  readonly driver: NetworkDriver;
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly enableIpv4: boolean;
  readonly enableIpv6: boolean;
  readonly pools: readonly PoolRecord[];
  readonly ipamOptions: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Labels;
  /** The bridge of `bridge` networks; empty for the others. */
  readonly bridgeName: string;
  /** False: the bridge was there before the network and stays after it. */
  readonly ownsBridge: boolean;
}

/** Predefined: always there, cannot be removed, and no network of a user may have such a name. */
export const predefinedNames: readonly string[] = ["bridge", "host", "none"];

/** How packets to and from outside pass. `nat`: masquerade and DNAT. `nat-unprotected`: and direct access. `routed`: no NAT, only
 *  published ports answer. `isolated` (internal networks only): the host has no address in it either. */
export type GatewayMode = "nat" | "nat-unprotected" | "routed" | "isolated";

/** The meaning of a network's `Options`. */
export interface BridgeOptions {
  readonly mtu: number;
  readonly icc: boolean;
  readonly masquerade: boolean;
  /** Host address that ports are published on where the request names none; undefined: every address. */
  readonly hostBinding: string | undefined;
  readonly gatewayMode4: GatewayMode;
  readonly gatewayMode6: GatewayMode;
  /** Source address for outgoing connections instead of the one masquerading would take. */
  readonly hostIpv4: Address | undefined;
  readonly hostIpv6: Address | undefined;
  readonly interfacePrefix: string;
  /** Members are routers, and may send from addresses that are not theirs. */
  readonly allowSpoofing: boolean;
}

export const defaultMtu = 1500;
const truthy = (text: string | undefined, fallback: boolean): boolean =>
  text === undefined || text === "" ? fallback : ["1", "t", "T", "true", "TRUE", "True"].includes(text);

/** Of a record that `validateNetwork` has accepted. Source: Docker's bridge driver options. */
export function bridgeOptions(record: Pick<NetworkRecord, "options">): BridgeOptions {
  const { options } = record;
  const address = (key: string): Address | undefined => parseAddress(options[key] ?? "");
  const mode = (key: string): GatewayMode => (options[key] ?? "nat") as GatewayMode;
  return {
    mtu: Number(options["com.docker.network.driver.mtu"] ?? defaultMtu),
    icc: truthy(options["com.docker.network.bridge.enable_icc"], true),
    masquerade: truthy(options["com.docker.network.bridge.enable_ip_masquerade"], true),
    hostBinding: options["com.docker.network.bridge.host_binding_ipv4"],
    gatewayMode4: mode("com.docker.network.bridge.gateway_mode_ipv4"),
    gatewayMode6: mode("com.docker.network.bridge.gateway_mode_ipv6"),
    hostIpv4: address("com.docker.network.host_ipv4"),
    hostIpv6: address("com.docker.network.host_ipv6"),
    allowSpoofing: truthy(options["io.tscompose.network.allow_spoofing"], false),
    interfacePrefix: options["com.docker.network.container_iface_prefix"] ?? "eth",
  };
}

export function subnetsOf(record: Pick<NetworkRecord, "pools">): readonly Subnet[] {
  return record.pools.flatMap(({ subnet }) => parseSubnet(subnet) ?? []);
}

/** The Docker shape, without members. */
export function toInspect(record: NetworkRecord): NetworkInspect {
  return {
    Name: record.name,
    Id: record.id,
    Created: record.created,
    Scope: "local",
    Driver: record.driver,
    EnableIPv4: record.enableIpv4,
    EnableIPv6: record.enableIpv6,
    IPAM: {
      Driver: "default",
      Options: record.ipamOptions,
      Config: record.pools.map(({ subnet, range, gateway, auxiliary }) => ({
        Subnet: subnet,
        ...(range === undefined ? {} : { IPRange: range }),
        ...(gateway === undefined ? {} : { Gateway: gateway }),
        ...(Object.keys(auxiliary).length === 0 ? {} : { AuxiliaryAddresses: auxiliary }),
      })),
    },
    Internal: record.internal,
    Attachable: record.attachable,
    Ingress: false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: {},
    Options: record.options,
    Labels: record.labels,
  };
}
