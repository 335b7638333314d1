/** Which address of a subnet a container gets. Pure: (state, request) -> new state. A state is what is taken in one subnet; it is
 *  not stored, but made again out of the records of networks and of live sandboxes. Source: DESIGN.md section 3. */
import { TscomposeError } from "../errors.ts";
import { bitsOf, contains, formatAddress, formatSubnet, lastOf, sizeOf, type Address, type Subnet } from "./cidr.ts";

export interface AddressPool {
  readonly subnet: Subnet;
  /** Dynamic addresses come from here; static ones from all of the subnet. */
  readonly range: Subnet;
  readonly gateway: bigint | undefined;
  /** Reserved for things outside the engine: name -> address. */
  readonly auxiliary: Readonly<Record<string, bigint>>;
  /** In use: gateway, auxiliary addresses, endpoints. */
  readonly taken: ReadonlySet<bigint>;
  /** Below it nothing in `range` is free. */
  readonly hint: bigint;
}

/** The gateway, where none was asked for, is the first address of the range, as with Docker. */
export function createAddressPool(request: {
  readonly subnet: Subnet;
  readonly range?: Subnet | undefined;
  readonly gateway?: bigint | undefined;
  readonly auxiliary?: Readonly<Record<string, bigint>> | undefined;
  /** False for networks whose members have no gateway of ours. */
  readonly hasGateway?: boolean;
}): AddressPool {
  const { subnet } = request;
  const range = request.range ?? subnet;
  const auxiliary = request.auxiliary ?? {};
  const reserved = new Set(Object.values(auxiliary));
  const empty: AddressPool = { subnet, range, gateway: undefined, auxiliary, taken: reserved, hint: range.base };
  if (request.gateway === undefined && request.hasGateway === false) return empty;
  const gateway = request.gateway ?? lowestFree(empty)?.value;
  if (gateway === undefined) throw exhausted(empty);
  return { ...empty, gateway, taken: new Set([...reserved, gateway]) };
}

/** The lowest free address of the range. @throws network/pool-exhausted */
export function leaseAddress(pool: AddressPool): { readonly pool: AddressPool; readonly address: Address } {
  const address = lowestFree(pool);
  if (address === undefined) throw exhausted(pool);
  const taken = new Set(pool.taken).add(address.value);
  return { pool: { ...pool, taken, hint: address.value + 1n }, address };
}

/** @throws network/address-in-use when taken; network/invalid when it cannot be a host of the subnet */
export function takeAddress(pool: AddressPool, address: Address): AddressPool {
  const text = formatAddress(address);
  if (!isUsable(pool, address)) {
    throw new TscomposeError("network/invalid", `no configured subnet contains IP address ${text}`, {
      details: { address: text, subnet: formatSubnet(pool.subnet) },
      hint: `choose an address inside ${formatSubnet(pool.subnet)}`,
    });
  }
  if (pool.taken.has(address.value)) {
    throw new TscomposeError("network/address-in-use", `Address already in use: ${text}`, {
      details: { address: text, subnet: formatSubnet(pool.subnet) },
      hint: "choose another static address, or keep the dynamic ones apart with ipam.config.ip_range",
    });
  }
  return { ...pool, taken: new Set(pool.taken).add(address.value) };
}

/** True when `takeAddress` would succeed. */
export function isFree(pool: AddressPool, address: Address): boolean {
  return isUsable(pool, address) && !pool.taken.has(address.value);
}

/** Frees it; the gateway and the auxiliary addresses stay. */
export function releaseAddress(pool: AddressPool, address: Address): AddressPool {
  const { value } = address;
  if (value === pool.gateway || Object.values(pool.auxiliary).includes(value)) return pool;
  const taken = new Set(pool.taken);
  taken.delete(value);
  const hint = value >= pool.range.base && value < pool.hint ? value : pool.hint;
  return { ...pool, taken, hint };
}

/** Not the network's own address and, for IPv4, not its broadcast address; /31 and /32 (RFC 3021), /127 and /128 have neither. */
function isUsable(pool: AddressPool, address: Address): boolean {
  const { subnet } = pool;
  if (!contains(subnet, address)) return false;
  if (bitsOf(subnet.family) - subnet.prefixLength <= 1) return true;
  if (address.value === subnet.base) return false;
  return subnet.family === 6 || address.value !== lastOf(subnet);
}

function lowestFree(pool: AddressPool): Address | undefined {
  const { family } = pool.subnet;
  const end = lastOf(pool.range);
  for (let value = pool.hint; value <= end; value += 1n) {
    if (pool.taken.has(value)) continue;
    const address = { family, value };
    if (isUsable(pool, address)) return address;
  }
  return undefined;
}

function exhausted(pool: AddressPool): TscomposeError {
  const range = formatSubnet(pool.range);
  return new TscomposeError("network/pool-exhausted", `no available IPv${pool.subnet.family} addresses in ${range}`, {
    details: { subnet: formatSubnet(pool.subnet), range, size: sizeOf(pool.range).toString(), used: pool.taken.size },
    hint: "remove containers from this network, or give it a larger subnet with ipam.config.subnet",
  });
}
