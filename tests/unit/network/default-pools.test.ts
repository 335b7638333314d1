import fc from "fast-check";
import { expect, test } from "vitest";
import { formatSubnet, overlaps, parseSubnet, subnetOf, type Subnet } from "../../../src/network/cidr.ts";
import { chooseSubnet, defaultPools, parsePools, uniqueLocalPool } from "../../../src/network/default-pools.ts";

const subnet = (text: string): Subnet => parseSubnet(text) ?? { family: 4, base: 0n, prefixLength: 0 };
const pools = parsePools(defaultPools);

test("the first network is 172.18.0.0/26, the next follows, and what the host has is skipped", () => {
  expect(formatSubnet(chooseSubnet(pools, 4, []))).toBe("172.18.0.0/26");
  expect(formatSubnet(chooseSubnet(pools, 4, [subnet("172.18.0.0/26")]))).toBe("172.18.0.64/26");
  expect(formatSubnet(chooseSubnet(pools, 4, [subnet("172.18.0.0/26"), subnet("172.18.0.100/32")]))).toBe(
    "172.18.0.128/26",
  );
  expect(formatSubnet(chooseSubnet(pools, 4, [subnet("172.16.0.0/12")]))).toBe("10.192.0.0/26");
});

test("many thousand networks fit", () => {
  const taken: Subnet[] = [];
  for (let n = 0; n < 4500; n += 1) taken.push(chooseSubnet(pools, 4, taken));
  expect(new Set(taken.map(formatSubnet)).size).toBe(4500);
});

test("when all pools are used up the error names them, what is in the way and the setting", () => {
  const small = parsePools([{ base: "10.9.0.0/30", size: 30 }]);
  expect(() => chooseSubnet(small, 4, [subnet("10.9.0.0/30")])).toThrow(
    "all predefined address pools have been fully subnetted: 10.9.0.0/30 (/30 each); 1 subnets and routes are in the way",
  );
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
