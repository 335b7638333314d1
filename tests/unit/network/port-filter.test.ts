import { expect, test } from "vitest";
import { addressBytes, parseAddress, parseSubnet, type Address, type Subnet } from "../../../src/network/cidr.ts";
import { buildDropAll, buildPortFilter, type PortFilter } from "../../../src/network/port-filter.ts";

const address = (text: string): Address => parseAddress(text) ?? { family: 4, value: 0n };
const subnet = (text: string): Subnet => parseSubnet(text) ?? { family: 4, base: 0n, prefixLength: 0 };
const filter: PortFilter = {
  mac: Buffer.from("0242ac120002", "hex"),
  addresses: [address("172.18.0.2")],
  subnets: [subnet("172.18.0.0/26")],
  internal: false,
  blocked: [],
  anySource: false,
  networks: undefined,
};
/** Every jump lands on an instruction of the program: the kernel would refuse it otherwise. */
function expectWellFormed(program: Buffer): void {
  const count = program.length / 8;
  for (let n = 0; n < count; n += 1) {
    const opcode = program.readUInt8(8 * n);
    const isJump = (opcode & 7) === 5 || (opcode & 7) === 6;
    if (!isJump || opcode === 0x85 || opcode === 0x95) continue;
    const to = n + 1 + program.readInt16LE(8 * n + 2);
    expect(to).toBeGreaterThan(n);
    expect(to).toBeLessThan(count);
  }
}

test("a blocked destination is compared with before anything lets the packet pass", () => {
  const plain = buildPortFilter(filter);
  const blocking = buildPortFilter({ ...filter, blocked: [address("172.18.0.3"), address("fd00::3")] });
  expectWellFormed(plain);
  expectWellFormed(blocking);
  const wanted = addressBytes(address("172.18.0.3"));
  const at = blocking.indexOf(wanted);
  expect(plain.indexOf(wanted)).toBe(-1);
  expect(at).toBeGreaterThan(0);
  expect(at).toBeLessThan(blocking.lastIndexOf(addressBytes(address("172.18.0.0"))));
  const both = buildPortFilter({
    ...filter,
    subnets: [...filter.subnets, subnet("fd00::/64")],
    blocked: [address("172.18.0.3"), address("fd00::3")],
  });
  expectWellFormed(both);
  expect(both.length).toBeGreaterThan(blocking.length);
});

test("a container that is cut off sends and gets nothing: two instructions", () => {
  expect(buildDropAll().toString("hex")).toBe("b700000002000000" + "9500000000000000");
});
