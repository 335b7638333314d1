import fc from "fast-check";
import { expect, test } from "vitest";
import { formatSubnet, overlaps, parseSubnet, subnetOf, type Subnet } from "../../../src/network/cidr.ts";
import {
  chooseSubnet as chooseAmong,
  defaultPools,
  parsePools,
  readPoolsSetting,
  uniqueLocalPool,
  type SubnetPool,
} from "../../../src/network/default-pools.ts";

const subnet = (text: string): Subnet => parseSubnet(text) ?? { family: 4, base: 0n, prefixLength: 0 };
const pools = parsePools(defaultPools);
const chooseSubnet = (from: readonly SubnetPool[], family: 4 | 6, taken: readonly Subnet[]): Subnet =>
  chooseAmong(
    from,
    family,
    taken.map((one) => ({ subnet: one, owner: "somebody" })),
  );

test("the first network is 172.18.0.0/26, the next follows, and what the host has is skipped", () => {
  expect(formatSubnet(chooseSubnet(pools, 4, []))).toBe("172.18.0.0/26");
  expect(formatSubnet(chooseSubnet(pools, 4, [subnet("172.18.0.0/26")]))).toBe("172.18.0.64/26");
  expect(formatSubnet(chooseSubnet(pools, 4, [subnet("172.18.0.0/26"), subnet("172.18.0.100/32")]))).toBe(
    "172.18.0.128/26",
  );
  expect(formatSubnet(chooseSubnet(pools, 4, [subnet("172.16.0.0/12")]))).toBe("10.192.0.0/26");
});

test("more than 4,096 networks fit before the pools are used up, and the error names pools, users and the setting", () => {
  const first = ["172.18.0.0", "172.20.0.0"].map((text) => subnet(`${text}/32`).base);
  const sizes = [2048, 4096];
  const all = first.flatMap((base, pool) =>
    Array.from({ length: sizes[pool] ?? 0 }, (_, n) => ({
      family: 4 as const,
      base: base + BigInt(n) * 64n,
      prefixLength: 26,
    })),
  );
  const host = { subnet: subnet("10.192.0.0/11"), owner: "the host's routes" };
  const two = parsePools(defaultPools.slice(0, 2));
  const networks = all.map((one, n) => ({ subnet: one, owner: `network n${n}` }));
  expect(chooseAmong(two, 4, [...networks.slice(0, -1), host])).toEqual(all.at(-1));
  let failure: unknown;
  try {
    chooseAmong(two, 4, [...networks, host]);
  } catch (error) {
    failure = error;
  }
  const capacity = pools.reduce((sum, { base, size }) => sum + 2 ** (size - base.prefixLength), 0);
  expect(capacity).toBeGreaterThan(4096);
  expect(failure).toMatchObject({
    code: "network/pool-exhausted",
    message:
      "all predefined address pools have been fully subnetted: 172.18.0.0/15 (/26 each), 172.20.0.0/14 (/26 each); " +
      "in the way: 6,144 networks (n0, n1, n2 and 6,141 more)",
    hint: expect.stringContaining("TSCOMPOSE_ADDRESS_POOLS") as string,
  });
  const small = parsePools([{ base: "10.200.0.0/24", size: 26 }]);
  const few = [{ subnet: subnet("10.200.0.0/26"), owner: "network app_default" }, host];
  expect(() => chooseAmong(small, 4, few)).toThrow(
    "10.200.0.0/24 (/26 each); in the way: 1 network (app_default), the host's routes (10.192.0.0/11)",
  );
});

test("the setting holds CIDRs with or without a size, and says which entry is wrong", () => {
  expect(readPoolsSetting("10.10.0.0/16:24, 172.30.0.0/16 fd12::/48")).toEqual([
    { base: "10.10.0.0/16", size: 24 },
    { base: "172.30.0.0/16", size: 26 },
    { base: "fd12::/48", size: 64 },
  ]);
  expect(readPoolsSetting(" ")).toBeUndefined();
  for (const wrong of ["10.0.0.0", "10.0.0.0/16:12", "banana/3", "10.0.0.0/16:31"]) {
    expect(() => readPoolsSetting(`10.1.0.0/16,${wrong}`)).toThrow(
      `TSCOMPOSE_ADDRESS_POOLS: "${wrong}" is no address pool`,
    );
  }
});

test("one after the other they are given out without gaps and without overlap", () => {
  const taken: Subnet[] = [];
  for (let n = 0; n < 300; n += 1) taken.push(chooseSubnet(pools, 4, taken));
  expect(new Set(taken.map(formatSubnet)).size).toBe(300);
  expect(formatSubnet(taken.at(-1) ?? subnet("0.0.0.0/32"))).toBe("172.18.74.192/26");
});

test("no subnet ever overlaps a route, whatever routes there are", () => {
  const route = fc.tuple(fc.nat({ max: 0xffffffff }), fc.integer({ min: 8, max: 32 }));
  const privateRoute = fc.tuple(
    fc.constantFrom(0xac12, 0xac13, 0xac14, 0xac1f, 0x0ac0, 0x0afe, 0xc0a8),
    fc.nat({ max: 0xffff }),
    fc.integer({ min: 12, max: 32 }),
  );
  fc.assert(
    fc.property(fc.array(route), fc.array(privateRoute, { maxLength: 60 }), (wide, narrow) => {
      const taken = [
        ...wide.map(([value, length]) => subnetOf({ family: 4, value: BigInt(value) }, length)),
        ...narrow.map(([high, low, length]) =>
          subnetOf({ family: 4, value: BigInt(high) * 65536n + BigInt(low) }, length),
        ),
      ];
      let chosen: Subnet;
      try {
        chosen = chooseSubnet(pools, 4, taken);
      } catch {
        return;
      }
      expect(taken.some((one) => overlaps(one, chosen))).toBe(false);
    }),
    { numRuns: 10_000 },
  );
});

test("IPv6 subnets are unique local /64, the same for the same seed", () => {
  const pool = uniqueLocalPool(Buffer.from("0102030405060708", "hex"));
  expect(formatSubnet(chooseSubnet([pool], 6, []))).toBe("fd01:203:405::/64");
  expect(formatSubnet(chooseSubnet([pool], 6, [subnet("fd01:203:405::/64")]))).toBe("fd01:203:405:1::/64");
});
