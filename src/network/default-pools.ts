/** Which subnet a network gets that asked for none: the first of the default pools that overlaps no network and no route or
 *  address of the host. Pure. Source: RFC 1918, RFC 4193 (ULA); Docker's defaults for the ranges people expect. */
import { TscomposeError } from "../errors.ts";
import { bitsOf, formatSubnet, lastOf, overlaps, parseSubnet, sizeOf, type Family, type Subnet } from "./cidr.ts";

export interface SubnetPool {
  readonly base: Subnet;
  /** Prefix length of each subnet taken from it. */
  readonly size: number;
}

/** 172.17 stays Docker's; the rest is cut into /26: 62 members each, and room for tens of thousands of networks. */
export const defaultPools: readonly { readonly base: string; readonly size: number }[] = [
  { base: "172.18.0.0/15", size: 26 },
  { base: "172.20.0.0/14", size: 26 },
  { base: "172.24.0.0/14", size: 26 },
  { base: "172.28.0.0/14", size: 26 },
  { base: "10.192.0.0/10", size: 26 },
  { base: "192.168.128.0/17", size: 26 },
];

/** @throws network/invalid for a pool that is not a CIDR or whose subnets are larger than itself */
export function parsePools(pools: readonly { readonly base: string; readonly size: number }[]): readonly SubnetPool[] {
  return pools.map(({ base, size }) => {
    const subnet = parseSubnet(base);
    if (subnet === undefined || size < subnet.prefixLength || size > bitsOf(subnet.family) - 2) {
      throw new TscomposeError("network/invalid", `invalid address pool: base ${base}, size ${size}`, {
        hint: "an address pool is a CIDR and the prefix length of each subnet in it, as in base 10.10.0.0/16, size 26",
      });
    }
    return { base: subnet, size };
  });
}

/** The first free subnet of `family`. `taken` may hold anything, in any order.
 *  @throws network/pool-exhausted naming pools, use and the setting */
export function chooseSubnet(pools: readonly SubnetPool[], family: Family, taken: readonly Subnet[]): Subnet {
  const mine = pools.filter(({ base }) => base.family === family);
  for (const pool of mine) {
    const found = firstGap(pool, taken);
    if (found !== undefined) return found;
  }
  const names = mine.map(({ base, size }) => `${formatSubnet(base)} (/${size} each)`).join(", ");
  const text = `all predefined address pools have been fully subnetted: ${names === "" ? `no pool for IPv${family}` : names}`;
  throw new TscomposeError("network/pool-exhausted", `${text}; ${taken.length} subnets and routes are in the way`, {
    details: { pools: names, taken: taken.length },
    hint: "remove networks that are not used (tscompose ls, docker network prune), or add pools with TSCOMPOSE_ADDRESS_POOLS",
  });
}

/** One pass over what is taken, in order of address, however many subnets there are. */
function firstGap(pool: SubnetPool, taken: readonly Subnet[]): Subnet | undefined {
  const step = 1n << BigInt(bitsOf(pool.base.family) - pool.size);
  const obstacles = taken
    .filter((subnet) => overlaps(subnet, pool.base))
    .toSorted((a, b) => (a.base < b.base ? -1 : a.base > b.base ? 1 : 0));
  let at = pool.base.base;
  for (const obstacle of obstacles) {
    if (obstacle.base >= at + step) break;
    const end = lastOf(obstacle) + 1n;
    if (end > at) at = ((end + step - 1n) / step) * step;
  }
  if (at + step > pool.base.base + sizeOf(pool.base)) return undefined;
  return { family: pool.base.family, base: at, prefixLength: pool.size };
}

/** A unique local /48 that depends only on `seed` (32 bytes at least 5 used), cut into /64. Source: RFC 4193 section 3.2. */
export function uniqueLocalPool(seed: Buffer): SubnetPool {
  const globalId = BigInt(`0x${seed.subarray(0, 5).toString("hex")}`);
  return { base: { family: 6, base: (0xfdn << 120n) | (globalId << 80n), prefixLength: 48 }, size: 64 };
}
