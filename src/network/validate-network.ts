/** A create request, judged: refused with Docker's words or turned into a plan without free choices but the subnets. Pure.
 *  Source: Docker Engine API, NetworkCreate; libnetwork's checks. */
import { TscomposeError } from "../errors.ts";
import type { IpamPool, NetworkCreateBody } from "../engine/types.ts";
import {
  contains,
  containsSubnet,
  formatAddress,
  formatSubnet,
  overlaps,
  parseAddress,
  parseSubnet,
  type Family,
  type Subnet,
} from "./cidr.ts";
import { predefinedNames, type NetworkDriver, type PoolRecord } from "./network-record.ts";

export interface NetworkPlan {
  readonly name: string;
  readonly driver: NetworkDriver;
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly enableIpv4: boolean;
  readonly enableIpv6: boolean;
  /** As configured, checked. */
  readonly pools: readonly PoolRecord[];
  /** Families that need a subnet from the default pools. */
  readonly allocate: readonly Family[];
  readonly ipamOptions: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
}

export function invalidNetwork(message: string, hint?: string, httpStatus?: number): TscomposeError {
  return new TscomposeError("network/invalid", message, {
    ...(hint === undefined ? {} : { hint }),
    ...(httpStatus === undefined ? {} : { details: { httpStatus } }),
  });
}

/** @throws network/invalid, request/unsupported */
export function validateNetwork(body: NetworkCreateBody): NetworkPlan {
  const name = body.Name;
  if (predefinedNames.includes(name) || name === "default") {
    throw invalidNetwork(`operation is not permitted on predefined ${name} network`, "choose another name", 403);
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name) || name.length > 255) {
    throw invalidNetwork(
      `invalid network name ${JSON.stringify(name)}`,
      "a network name starts with a letter or digit, then letters, digits, '_', '.' and '-'",
    );
  }
  refuseSwarm(body);
  const driver = toDriver(body.Driver);
  const options = body.Options ?? {};
  const pools = (body.IPAM?.Config ?? []).filter((pool) => Object.values(pool).some(isGiven)).map(toPool);
  checkPools(pools);
  const enableIpv4 = body.EnableIPv4 ?? true;
  const enableIpv6 = body.EnableIPv6 ?? pools.some(({ subnet }) => parseSubnet(subnet)?.family === 6);
  if (!enableIpv4 && !enableIpv6) throw invalidNetwork("IPv4 or IPv6 must be enabled");
  checkOptions(options, body.Internal === true);
  const families = pools.map(({ subnet }) => parseSubnet(subnet)?.family);
  const allocate = ([4, 6] as const).filter(
    (family) => (family === 4 ? enableIpv4 : enableIpv6) && !families.includes(family),
  );
  return {
    name,
    driver,
    internal: body.Internal ?? false,
    attachable: body.Attachable ?? false,
    enableIpv4,
    enableIpv6,
    pools: pools.filter(({ subnet }) => (parseSubnet(subnet)?.family === 4 ? enableIpv4 : enableIpv6)),
    allocate,
    ipamOptions: body.IPAM?.Options ?? {},
    options,
    labels: body.Labels ?? {},
    warnings: unknownOptions(options),
  };
}

const isGiven = (value: unknown): boolean => value !== undefined && value !== null && value !== "";

function refuseSwarm(body: NetworkCreateBody): void {
  const refuse = (what: string): never => {
    throw new TscomposeError("request/unsupported", `${what} is not supported: this engine has one host`, {
      hint: "leave it out",
    });
  };
  if (body.Ingress === true) refuse("an ingress network");
  if (body.ConfigOnly === true || (body.ConfigFrom?.Network ?? "") !== "") refuse("a config-only network");
  if (body.Scope !== undefined && body.Scope !== "" && body.Scope !== "local") refuse(`network scope ${body.Scope}`);
  const ipam = body.IPAM?.Driver ?? "";
  if (ipam !== "" && ipam !== "default") {
    throw new TscomposeError("network/not-found", `plugin "${ipam}" not found`, {
      hint: "use the IPAM driver default",
    });
  }
}

function toDriver(driver: string | undefined): NetworkDriver {
  switch (driver ?? "") {
    case "":
    case "default":
    case "bridge":
      return "bridge";
    case "macvlan":
      return "macvlan";
    case "ipvlan":
      return "ipvlan";
    case "host":
    case "null":
    case "none":
      throw invalidNetwork(
        `only one instance of "${driver === "host" ? "host" : "null"}" network is allowed`,
        `use the predefined network ${driver === "host" ? "host" : "none"}`,
        403,
      );
    default:
      throw new TscomposeError("network/not-found", `plugin "${driver}" not found`, {
        hint: "use one of the drivers bridge, macvlan, ipvlan",
      });
  }
}

function toPool(pool: IpamPool): PoolRecord {
  const subnet = parseSubnet(pool.Subnet ?? "");
  if (subnet === undefined) throw invalidNetwork(`invalid subnet ${pool.Subnet ?? ""}: not a CIDR address`);
  const bits = subnet.family === 4 ? 32 : 128;
  if (subnet.prefixLength > bits - 1 || subnet.prefixLength < 4) {
    throw invalidNetwork(`invalid subnet ${pool.Subnet}: prefix length /${subnet.prefixLength} leaves no room`);
  }
  const text = formatSubnet(subnet);
  if (text !== pool.Subnet && !(pool.Subnet ?? "").includes(":")) {
    throw invalidNetwork(`invalid subnet ${pool.Subnet}: it should be ${text}`);
  }
  const range = isGiven(pool.IPRange) ? parseSubnet(pool.IPRange ?? "") : undefined;
  if (isGiven(pool.IPRange) && (range === undefined || !containsSubnet(subnet, range))) {
    throw invalidNetwork(`invalid ip-range ${pool.IPRange}: not inside subnet ${text}`);
  }
  const inside = (label: string, given: string): string => {
    const address = parseAddress(given.replace(/\/\d+$/, ""));
    if (address !== undefined && contains(subnet, address)) return formatAddress(address);
    throw invalidNetwork(`invalid ${label} ${given}: parent subnet is ${text}`);
  };
  const auxiliary = Object.entries(pool.AuxiliaryAddresses ?? {});
  return {
    subnet: text,
    range: range === undefined ? undefined : formatSubnet(range),
    gateway: isGiven(pool.Gateway) ? inside("gateway address", pool.Gateway ?? "") : undefined,
    auxiliary: Object.fromEntries(auxiliary.map(([key, value]) => [key, inside("auxiliary address", value)])),
    configured: true,
  };
}

function checkPools(pools: readonly PoolRecord[]): void {
  const subnets: Subnet[] = [];
  for (const { subnet } of pools) {
    const parsed = parseSubnet(subnet);
    if (parsed === undefined) continue;
    const other = subnets.find((one) => overlaps(one, parsed));
    if (other !== undefined) throw invalidNetwork(`subnets ${formatSubnet(other)} and ${subnet} overlap`);
    subnets.push(parsed);
  }
}

const booleanOptions = [
  "com.docker.network.bridge.enable_icc",
  "com.docker.network.bridge.enable_ip_masquerade",
  "io.tscompose.network.allow_spoofing",
];
const addressOptions = [
  "com.docker.network.bridge.host_binding_ipv4",
  "com.docker.network.host_ipv4",
  "com.docker.network.host_ipv6",
];
const gatewayModes = ["com.docker.network.bridge.gateway_mode_ipv4", "com.docker.network.bridge.gateway_mode_ipv6"];
const namedOptions = ["com.docker.network.bridge.name", "com.docker.network.container_iface_prefix"];
const knownOptions: ReadonlySet<string> = new Set([
  ...booleanOptions,
  ...addressOptions,
  ...gatewayModes,
  ...namedOptions,
  "com.docker.network.driver.mtu",
  "com.docker.network.bridge.default_bridge",
  "parent",
  "macvlan_mode",
  "ipvlan_mode",
  "ipvlan_flag",
]);

function checkOptions(options: Readonly<Record<string, string>>, internal: boolean): void {
  const each = (keys: readonly string[], accept: (value: string) => boolean): void => {
    for (const key of keys) {
      const value = options[key];
      if (value !== undefined && !accept(value)) throw invalidNetwork(`invalid value for option ${key}: "${value}"`);
    }
  };
  each(booleanOptions, (value) => /^(1|t|T|true|TRUE|True|0|f|F|false|FALSE|False|)$/.test(value));
  each(addressOptions, (value) => parseAddress(value) !== undefined);
  each(["com.docker.network.bridge.name", "parent"], (value) => isInterfaceName(value));
  each(["com.docker.network.container_iface_prefix"], (value) => /^[A-Za-z][A-Za-z0-9_-]{0,10}$/.test(value));
  each(
    ["com.docker.network.driver.mtu"],
    (value) => /^\d{2,5}$/.test(value) && Number(value) >= 68 && Number(value) <= 65535,
  );
  each(gatewayModes, (value) => ["nat", "nat-unprotected", "routed", "isolated"].includes(value));
  for (const key of gatewayModes) {
    if (options[key] === "isolated" && !internal) {
      throw invalidNetwork(`gateway mode "isolated" can only be used for an internal network`);
    }
  }
}

/** A name the kernel takes for an interface, and that cannot be mistaken for anything in a rule or a path. */
export function isInterfaceName(name: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,14}$/.test(name) && name !== "." && name !== "..";
}

function unknownOptions(options: Readonly<Record<string, string>>): readonly string[] {
  return Object.keys(options)
    .filter((key) => !knownOptions.has(key))
    .map((key) => `network option ${key} is not known and has no effect`);
}
