/** A network at work: its record, the addresses in use, its names, its members. One instance a network. */
import { TscomposeError } from "../errors.ts";
import type { NetworkInspect } from "../engine/types.ts";
import {
  addressBytes,
  contains,
  formatAddress,
  parseAddress,
  parseSubnet,
  type Address,
  type Family,
  type Subnet,
} from "./cidr.ts";
import { Zone } from "./dns/zone.ts";
import { createAddressPool, isFree, leaseAddress, releaseAddress, takeAddress, type AddressPool } from "./ipam.ts";
import { bridgeOptions, subnetsOf, toInspect, type NetworkRecord } from "./network-record.ts";
import type { EndpointRequest, EndpointState } from "./types.ts";

export interface Member {
  readonly containerName: string;
  readonly state: EndpointState;
}
export interface LeasedAddress {
  readonly address: Address;
  readonly prefixLength: number;
  readonly gateway: Address | undefined;
}

export class LiveNetwork {
  readonly zone = new Zone();
  readonly members = new Map<string, Member>();
  /** Setups that have an address here but are no member yet. */
  joining = 0;
  #record: NetworkRecord;
  #subnets: readonly Subnet[];
  #pools: AddressPool[];

  constructor(record: NetworkRecord) {
    this.#record = record;
    this.#subnets = subnetsOf(record);
    this.#pools = poolsOf(record);
  }

  get record(): NetworkRecord {
    return this.#record;
  }
  get id(): string {
    return this.#record.id;
  }
  get name(): string {
    return this.#record.name;
  }

  get subnets(): readonly Subnet[] {
    return this.#subnets;
  }

  /** Only while nobody is in it. */
  replaceRecord(record: NetworkRecord): void {
    this.#record = record;
    this.#subnets = subnetsOf(record);
    this.#pools = poolsOf(record);
  }

  /** Static, else the earlier one if it is free, else the lowest free. undefined: the network has no such family.
   *  @throws network/invalid, network/address-in-use, network/pool-exhausted */
  lease(family: Family, request: EndpointRequest, previous: EndpointState | undefined): LeasedAddress | undefined {
    const pools = this.#pools.filter(({ subnet }) => subnet.family === family);
    if (pools.length === 0) return undefined;
    const asked = family === 4 ? request.ipv4 : request.ipv6;
    if (asked !== undefined && asked !== "") return this.#leaseStatic(asked, pools);
    const before = parseAddress((family === 4 ? previous?.ipv4 : previous?.ipv6)?.address ?? "");
    const again = before === undefined ? undefined : pools.find((pool) => isFree(pool, before));
    if (before !== undefined && again !== undefined) return this.#take(again, before);
    let full: unknown;
    for (const pool of pools) {
      try {
        const leased = leaseAddress(pool);
        this.#replace(pool, leased.pool);
        return this.#leased(leased.pool, leased.address);
      } catch (error) {
        full = error;
      }
    }
    throw full;
  }

  #leaseStatic(asked: string, pools: readonly AddressPool[]): LeasedAddress {
    const address = parseAddress(asked);
    if (address === undefined) throw invalidEndpoint(`invalid IP address: ${asked}`);
    if (this.name === "bridge") {
      throw invalidEndpoint("user specified IP address is supported on user defined networks only");
    }
    const pool = pools.find(({ subnet }) => contains(subnet, address));
    if (pool === undefined) throw invalidEndpoint(`no configured subnet contains IP address ${asked}`);
    const configured = this.#record.pools.some(
      (one) => one.configured && parseSubnet(one.subnet)?.base === pool.subnet.base,
    );
    if (!configured) {
      throw invalidEndpoint(
        "user specified IP address is supported only when connecting to networks with user configured subnets",
      );
    }
    return this.#take(pool, address);
  }

  /** Of an endpoint that is there already. An address that somebody else has is left alone. */
  adoptAddresses(state: EndpointState): void {
    for (const text of [state.ipv4?.address, state.ipv6?.address]) {
      const address = parseAddress(text ?? "");
      const pool = address === undefined ? undefined : this.#pools.find((one) => isFree(one, address));
      if (address !== undefined && pool !== undefined) this.#take(pool, address);
    }
  }

  release(address: Address): void {
    const pool = this.#pools.find(({ subnet }) => contains(subnet, address));
    if (pool !== undefined) this.#replace(pool, releaseAddress(pool, address));
  }

  releaseEndpoint(state: EndpointState): void {
    for (const text of [state.ipv4?.address, state.ipv6?.address]) {
      const address = parseAddress(text ?? "");
      if (address !== undefined) this.release(address);
    }
  }

  inspect(): NetworkInspect {
    const cidr = (one: EndpointState["ipv4"]): string =>
      one === undefined ? "" : `${one.address}/${one.prefixLength}`;
    const members = [...this.members].map(([id, { containerName, state }]) => [
      id,
      {
        Name: containerName,
        EndpointID: state.endpointId,
        MacAddress: state.macAddress,
        IPv4Address: cidr(state.ipv4),
        IPv6Address: cidr(state.ipv6),
      },
    ]);
    return { ...toInspect(this.#record), Containers: Object.fromEntries(members) as NetworkInspect["Containers"] };
  }

  #take(pool: AddressPool, address: Address): LeasedAddress {
    const taken = takeAddress(pool, address);
    this.#replace(pool, taken);
    return this.#leased(taken, address);
  }

  #replace(before: AddressPool, after: AddressPool): void {
    this.#pools = this.#pools.map((pool) => (pool === before ? after : pool));
  }

  /** Members of internal networks have no way out, hence no gateway; those of ipvlan l3 reach everything through the link. */
  #leased(pool: AddressPool, address: Address): LeasedAddress {
    const { family } = address;
    const { driver, internal, options } = this.#record;
    const layer3 = driver === "ipvlan" && (options["ipvlan_mode"] ?? "").startsWith("l3");
    const gateway = internal || layer3 || pool.gateway === undefined ? undefined : { family, value: pool.gateway };
    return { address, prefixLength: pool.subnet.prefixLength, gateway };
  }

  /** The host's address in this network. */
  gatewayOf(family: Family): string | undefined {
    if (this.#record.driver !== "bridge" || this.#record.internal) return undefined;
    const pool = this.#pools.find(({ subnet }) => subnet.family === family);
    return pool?.gateway === undefined ? undefined : formatAddress({ family, value: pool.gateway });
  }
}

function invalidEndpoint(message: string): TscomposeError {
  return new TscomposeError("network/invalid", `invalid endpoint settings:\n${message}`, {
    hint: "static addresses need a network with ipam.config.subnet that contains them",
  });
}

function poolsOf(record: NetworkRecord): AddressPool[] {
  const options = bridgeOptions(record);
  return record.pools.flatMap((pool) => {
    const subnet = parseSubnet(pool.subnet);
    if (subnet === undefined) return [];
    const mode = subnet.family === 4 ? options.gatewayMode4 : options.gatewayMode6;
    const values = Object.entries(pool.auxiliary).flatMap(([name, text]) => {
      const address = parseAddress(text);
      return address === undefined ? [] : [[name, address.value] as const];
    });
    return [
      createAddressPool({
        subnet,
        range: pool.range === undefined ? undefined : parseSubnet(pool.range),
        gateway: parseAddress(pool.gateway ?? "")?.value,
        auxiliary: Object.fromEntries(values),
        hasGateway: mode !== "isolated",
      }),
    ];
  });
}

export const bytesOf = (text: string | undefined): Buffer | undefined => {
  const address = parseAddress(text ?? "");
  return address === undefined ? undefined : addressBytes(address);
};
