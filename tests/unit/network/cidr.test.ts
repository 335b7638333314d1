import { isIPv4, isIPv6 } from "node:net";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  addressBytes,
  addressFromBytes,
  contains,
  formatAddress,
  formatSubnet,
  overlaps,
  parseAddress,
  parseSubnet,
} from "../../../src/network/cidr.ts";

test("addresses are written as RFC 5952 wants them", () => {
  const shown = (text: string): string => formatAddress(parseAddress(text) ?? { family: 4, value: 0n });
  expect(shown("10.0.0.1")).toBe("10.0.0.1");
  expect(shown("2001:DB8:0:0:0:0:0:1")).toBe("2001:db8::1");
  expect(shown("0:0:0:0:0:0:0:0")).toBe("::");
  expect(shown("2001:db8:0:1:1:1:1:1")).toBe("2001:db8:0:1:1:1:1:1");
  expect(shown("2001:0:0:1:0:0:0:1")).toBe("2001:0:0:1::1");
  expect(shown("::ffff:192.0.2.1")).toBe("::ffff:c000:201");
});

test("what is no address is refused", () => {
  for (const text of [
    "",
    "1.2.3",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.4.5",
    ":::",
    "1::2::3",
    "12345::",
    "fe80::1%eth0",
    "g::",
  ]) {
    expect(parseAddress(text)).toBeUndefined();
  }
});

test("every text is an address exactly when Node says so, leading zeros and zones aside", () => {
  const piece = fc.constantFrom("0", "1", "255", "256", ".", ":", "::", "ff", "ffff", "a", "10", "%e");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const text = pieces.join("");
      if (text.includes("%")) return;
      expect(parseAddress(text) !== undefined).toBe(isIPv4(text) || isIPv6(text));
    }),
  );
});

test("text and bytes of any address come back", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.boolean(), (raw, short) => {
      const bytes = Buffer.from(raw.subarray(0, short ? 4 : 16));
      const address = addressFromBytes(bytes);
      expect(parseAddress(formatAddress(address))).toEqual(address);
      expect(addressBytes(address)).toEqual(bytes);
    }),
  );
});

test("subnets clear host bits, contain and overlap", () => {
  const subnet = (text: string): NonNullable<ReturnType<typeof parseSubnet>> => {
    const parsed = parseSubnet(text);
    if (parsed === undefined) throw new Error(text);
    return parsed;
  };
  expect(formatSubnet(subnet("10.1.2.3/8"))).toBe("10.0.0.0/8");
  expect(parseSubnet("10.0.0.0/33")).toBeUndefined();
  expect(contains(subnet("10.0.0.0/26"), { family: 4, value: 0x0a00003fn })).toBe(true);
  expect(contains(subnet("10.0.0.0/26"), { family: 4, value: 0x0a000040n })).toBe(false);
  expect(overlaps(subnet("10.0.0.0/8"), subnet("10.9.0.0/16"))).toBe(true);
  expect(overlaps(subnet("10.0.0.0/16"), subnet("10.1.0.0/16"))).toBe(false);
  expect(overlaps(subnet("::/0"), subnet("10.1.0.0/16"))).toBe(false);
});
