/** Which subnet a network gets that asked for none: the first of the default pools that overlaps no network and no route or
 *  address of the host. Pure. Source: RFC 1918, RFC 4193 (ULA); Docker's defaults for the ranges people expect. */
import { TscomposeError } from "../errors.ts";
import { bitsOf, formatSubnet, lastOf, overlaps, parseSubnet, type Family, type Subnet } from "./cidr.ts";

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

/** The setting `TSCOMPOSE_ADDRESS_POOLS`: `10.10.0.0/16:26, fd12:3456::/48:64`; without a size /26, or /64 for IPv6. Empty: undefined.
 *  @throws network/invalid naming the entry */
export function readPoolsSetting(
  text: string,
): readonly { readonly base: string; readonly size: number }[] | undefined {
  const entries = text.split(/[\s,]+/).filter((entry) => entry !== "");
  if (entries.length === 0) return undefined;
  const pools = entries.map((entry) => {
    const [, base = "", size] = /^([^/]+\/\d+)(?::(\d+))?$/.exec(entry) ?? [];
    if (base === "") throw badSetting(entry, undefined);
    return { entry, base, size: size === undefined ? (base.includes(":") ? 64 : 26) : Number(size) };
  });
  for (const { entry, base, size } of pools) {
    try {
      parsePools([{ base, size }]);
    } catch (error) {
      throw badSetting(entry, error);
    }
  }
  return pools.map(({ base, size }) => ({ base, size }));
}

function badSetting(entry: string, cause: unknown): TscomposeError {
  return new TscomposeError("network/invalid", `TSCOMPOSE_ADDRESS_POOLS: ${JSON.stringify(entry)} is no address pool`, {
    ...(cause === undefined ? {} : { cause }),
    hint: "give CIDRs and the prefix length of each subnet in them, separated by commas, as in 10.10.0.0/16:26,172.30.0.0/16:24",
  });
}

/** Something that is in the way, and whose it is: `network app_default`, `the host`. */
export interface TakenSubnet {
  readonly subnet: Subnet;
  readonly owner: string;
}

/** The first free subnet of `family`. `taken` may hold anything, in any order.
 *  @throws network/pool-exhausted naming pools, use and the setting */
export function chooseSubnet(pools: readonly SubnetPool[], family: Family, taken: readonly TakenSubnet[]): Subnet {
  const mine = pools.filter(({ base }) => base.family === family);
  const subnets = taken.map(({ subnet }) => subnet);
  for (const pool of mine) {
    const found = firstGap(pool, subnets);
    if (found !== undefined) return found;
  }
  const names = mine.map(({ base, size }) => `${formatSubnet(base)} (/${size} each)`).join(", ");
  const text = `all predefined address pools have been fully subnetted: ${names === "" ? `no pool for IPv${family}` : names}`;
  const used = taken.filter(({ subnet }) => mine.some(({ base }) => overlaps(base, subnet)));
  throw new TscomposeError("network/pool-exhausted", `${text}; in the way: ${describeUse(used)}`, {
    details: { pools: names, taken: used.length },
    hint: "remove networks that are not used (tscompose ls, docker network prune), or set other or more pools in TSCOMPOSE_ADDRESS_POOLS",
  });
}

const namedUsers = 3;
/** `4,096 networks (a, b, c and 4,093 more), the host (10.0.0.0/8)`. */
function describeUse(used: readonly TakenSubnet[]): string {
  const networks = [...new Set(used.map(({ owner }) => owner).filter((owner) => owner.startsWith("network ")))];
  const others = used.filter(({ owner }) => !owner.startsWith("network "));
  const list = (names: readonly string[]): string => {
    const rest = names.length - namedUsers;
    return names.slice(0, namedUsers).join(", ") + (rest > 0 ? ` and ${count(rest)} more` : "");
  };
  const parts = [
    ...(networks.length === 0
      ? []
      : [
          `${count(networks.length)} network${networks.length === 1 ? "" : "s"} (${list(networks.map((one) => one.slice(8)))})`,
        ]),
    ...[...new Set(others.map(({ owner }) => owner))].map((owner) => {
      const subnets = others.filter((one) => one.owner === owner).map(({ subnet }) => formatSubnet(subnet));
      return `${owner} (${list([...new Set(subnets)])})`;
    }),
  ];
  return parts.length === 0 ? "nothing" : parts.join(", ");
}
const count = (value: number): string => value.toLocaleString("en-US");

/** One pass over what is taken, in order of address, however many subnets there are. */
function firstGap(pool: SubnetPool, taken: readonly Subnet[]): Subnet | undefined {
  const step = 1n << BigInt(bitsOf(pool.base.family) - pool.size);
  const [first, last] = [pool.base.base, lastOf(pool.base)];
  const obstacles = taken
    .flatMap((subnet) => {
      if (subnet.family !== pool.base.family || subnet.base > last) return [];
      const end = lastOf(subnet) + 1n;
      return end > first ? [{ base: subnet.base, end }] : [];
    })
    .toSorted((a, b) => (a.base < b.base ? -1 : a.base > b.base ? 1 : 0));
  let at = first;
  for (const { base, end } of obstacles) {
    if (base >= at + step) break;
    if (end > at) at = ((end + step - 1n) / step) * step;
  }
  if (at + step - 1n > last) return undefined;
  return { family: pool.base.family, base: at, prefixLength: pool.size };
}

/** A unique local /48 that depends only on `seed` (32 bytes at least 5 used), cut into /64. Source: RFC 4193 section 3.2. */
export function uniqueLocalPool(seed: Buffer): SubnetPool {
  const globalId = BigInt(`0x${seed.subarray(0, 5).toString("hex")}`);
  return { base: { family: 6, base: (0xfdn << 120n) | (globalId << 80n), prefixLength: 48 }, size: 64 };
}
