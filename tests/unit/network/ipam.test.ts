import fc from "fast-check";
import { expect, test } from "vitest";
import { formatAddress, parseAddress, parseSubnet, type Address, type Subnet } from "../../../src/network/cidr.ts";
import {
  createAddressPool,
  isFree,
  leaseAddress,
  releaseAddress,
  takeAddress,
  type AddressPool,
} from "../../../src/network/ipam.ts";

const subnet = (text: string): Subnet => parseSubnet(text) ?? { family: 4, base: 0n, prefixLength: 0 };
const address = (text: string): Address => parseAddress(text) ?? { family: 4, value: 0n };
const pool = (text: string, more: object = {}): AddressPool => createAddressPool({ subnet: subnet(text), ...more });

test("the gateway is the first address and containers get the following ones, never the broadcast address", () => {
  let state = pool("10.0.0.0/29");
  expect(formatAddress({ family: 4, value: state.gateway ?? 0n })).toBe("10.0.0.1");
  const got: string[] = [];
  for (let n = 0; n < 5; n += 1) {
    const leased = leaseAddress(state);
    state = leased.pool;
    got.push(formatAddress(leased.address));
  }
  expect(got).toEqual(["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
  expect(() => leaseAddress(state)).toThrow("no available IPv4 addresses in 10.0.0.0/29");
});

test("dynamic addresses come from the range, static ones from the whole subnet", () => {
  const state = pool("172.20.0.0/16", { range: subnet("172.20.10.0/24"), gateway: address("172.20.0.1").value });
  expect(formatAddress(leaseAddress(state).address)).toBe("172.20.10.0");
  expect(isFree(takeAddress(state, address("172.20.99.9")), address("172.20.99.9"))).toBe(false);
});

test("auxiliary addresses and the gateway are never given out, and cannot be released", () => {
  const aux = { printer: address("10.0.0.2").value };
  const state = pool("10.0.0.0/24", { auxiliary: aux });
  expect(formatAddress(leaseAddress(state).address)).toBe("10.0.0.3");
  for (const text of ["10.0.0.1", "10.0.0.2"]) {
    expect(() => takeAddress(releaseAddress(state, address(text)), address(text))).toThrow(
      `Address already in use: ${text}`,
    );
  }
});

test("an address outside the subnet, its first and its last one are refused", () => {
  const state = pool("10.0.0.0/24");
  for (const text of ["10.0.1.1", "10.0.0.0", "10.0.0.255", "fd00::1"]) {
    expect(() => takeAddress(state, address(text))).toThrow("no configured subnet contains IP address");
  }
});

test("whatever is leased and released, no address is given out twice and none is lost", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 40 }), { maxLength: 120 }), (steps) => {
      let state = pool("10.0.0.0/27");
      const held: Address[] = [];
      for (const step of steps) {
        const index = step - 20;
        const victim = index >= 0 ? held[index % Math.max(1, held.length)] : undefined;
        if (victim !== undefined) {
          held.splice(held.indexOf(victim), 1);
          state = releaseAddress(state, victim);
        } else if (held.length < 29) {
          const leased = leaseAddress(state);
          expect(held.some(({ value }) => value === leased.address.value)).toBe(false);
          held.push(leased.address);
          state = leased.pool;
        }
        expect(state.taken.size).toBe(held.length + 1);
      }
      for (const one of held) state = releaseAddress(state, one);
      expect(formatAddress(leaseAddress(state).address)).toBe("10.0.0.2");
    }),
  );
});
