/** What a container may put on the wire, as an eBPF program for the host's end of its link: frames with its own addresses only, and
 *  nothing straight to a member of another network. It holds while every firewall rule is gone. Pure.
 *  Source: security.md N-05 to N-07; linux/bpf.h; Documentation/bpf/instruction-set.rst. */
import { addressBytes, type Address, type Subnet } from "./cidr.ts";

export interface PortFilter {
  /** Six bytes. */
  readonly mac: Buffer;
  /** All that the container may send from. */
  readonly addresses: readonly Address[];
  /** Of its network. */
  readonly subnets: readonly Subnet[];
  /** Nothing leaves the subnets. */
  readonly internal: boolean;
  /** Destinations that get nothing from it: it has been partitioned from them. */
  readonly blocked: readonly Address[];
  /** May send from any address: its members are routers. */
  readonly anySource: boolean;
  /** Descriptors of the sets of subnets of all networks; undefined: the kernel has none. */
  readonly networks: { readonly 4: number; readonly 6: number } | undefined;
}

const PASS_ON = -1;
const DROP = 2;
const skbLoadBytes = 26;
const mapLookup = 1;
/** Ethernet types as they look when two bytes are read on a little-endian machine. */
const etherTypes = { ipv4: 0x0008, arp: 0x0608, ipv6: 0xdd86 } as const;
const macMask = 0x0000ffffffffffffn;
const [r0, r1, r2, r3, r4, r6, r7, frame] = [0, 1, 2, 3, 4, 6, 7, 10];

/** Instructions with jumps to labels. */
class Assembler {
  readonly #code: { readonly bytes: Buffer; readonly target?: string }[] = [];
  readonly #labels = new Map<string, number>();

  emit(
    opcode: number,
    operands: { dst?: number; src?: number; offset?: number; immediate?: number; target?: string },
  ): void {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt8(opcode, 0);
    bytes.writeUInt8((operands.dst ?? 0) | ((operands.src ?? 0) << 4), 1);
    bytes.writeInt16LE(operands.offset ?? 0, 2);
    bytes.writeInt32LE((operands.immediate ?? 0) | 0, 4);
    this.#code.push(operands.target === undefined ? { bytes } : { bytes, target: operands.target });
  }
  label(name: string): void {
    this.#labels.set(name, this.#code.length);
  }
  constant(dst: number, value: bigint): void {
    this.emit(0x18, { dst, immediate: Number(BigInt.asIntN(32, value)) });
    this.emit(0x00, { immediate: Number(BigInt.asIntN(32, value >> 32n)) });
  }
  /** Bytes of the packet to `at` below the frame pointer; a packet that has not so many is dropped. */
  load(offset: number, at: number, length: number): void {
    this.emit(0xbf, { dst: r1, src: r6 });
    this.emit(0xb7, { dst: r2, immediate: offset });
    this.emit(0xbf, { dst: r3, src: frame });
    this.emit(0x07, { dst: r3, immediate: at });
    this.emit(0xb7, { dst: r4, immediate: length });
    this.emit(0x85, { immediate: skbLoadBytes });
    this.emit(0x55, { dst: r0, immediate: 0, target: "drop" });
  }
  read64(dst: number, at: number): void {
    this.emit(0x79, { dst, src: frame, offset: at });
  }
  read32(dst: number, at: number): void {
    this.emit(0x61, { dst, src: frame, offset: at });
  }
  /** 32-bit comparison of `dst & mask` with `value`; spoils r4. */
  ifMasked(dst: number, masked: { readonly mask: number; readonly value: number }, target: string): void {
    this.emit(0xbc, { dst: r4, src: dst });
    this.emit(0x54, { dst: r4, immediate: masked.mask });
    this.emit(0x16, { dst: r4, immediate: masked.value, target });
  }
  /** 64-bit comparison of `dst & mask` with `value`; spoils r4 and r1. */
  ifMasked64(dst: number, masked: { readonly mask: bigint; readonly value: bigint }, target: string): void {
    this.emit(0xbf, { dst: r4, src: dst });
    this.constant(r1, masked.mask);
    this.emit(0x5f, { dst: r4, src: r1 });
    this.constant(r1, masked.value);
    this.emit(0x1d, { dst: r4, src: r1, target });
  }
  /** The address lies behind four bytes at `at` below the frame pointer, which become the length of the prefix. */
  dropIfInSet(map: number, at: number, bits: number): void {
    this.emit(0x62, { dst: frame, offset: at, immediate: bits });
    this.emit(0x18, { dst: r1, src: 1, immediate: map });
    this.emit(0x00, {});
    this.emit(0xbf, { dst: r2, src: frame });
    this.emit(0x07, { dst: r2, immediate: at });
    this.emit(0x85, { immediate: mapLookup });
    this.emit(0x55, { dst: r0, immediate: 0, target: "drop" });
  }
  jump(target: string): void {
    this.emit(0x05, { target });
  }
  assemble(): Buffer {
    this.#code.forEach(({ bytes, target }, index) => {
      if (target === undefined) return;
      const to = this.#labels.get(target);
      if (to === undefined) throw new Error(`no label ${target}`);
      bytes.writeInt16LE(to - index - 1, 2);
    });
    return Buffer.concat(this.#code.map(({ bytes }) => bytes));
  }
}

/** For a container that is cut off: nothing passes. */
export function buildDropAll(): Buffer {
  const asm = new Assembler();
  asm.emit(0xb7, { dst: r0, immediate: DROP });
  asm.emit(0x95, {});
  return asm.assemble();
}

export function buildPortFilter(filter: PortFilter): Buffer {
  const asm = new Assembler();
  const mac = Buffer.concat([filter.mac, Buffer.alloc(2)]).readBigUInt64LE(0);
  const ownMac = { mask: macMask, value: mac };
  asm.emit(0xbf, { dst: r6, src: r1 });
  asm.load(6, -16, 8);
  asm.read64(r7, -16);
  if (!filter.anySource) {
    asm.ifMasked64(r7, ownMac, "mac-ok");
    asm.jump("drop");
    asm.label("mac-ok");
  }
  asm.emit(0x77, { dst: r7, immediate: 48 });
  const v6 = filter.subnets.some(({ family }) => family === 6);
  asm.emit(0x15, { dst: r7, immediate: etherTypes.ipv4, target: "ipv4" });
  asm.emit(0x15, { dst: r7, immediate: etherTypes.arp, target: "arp" });
  if (v6) asm.emit(0x15, { dst: r7, immediate: etherTypes.ipv6, target: "ipv6" });
  asm.jump("drop");
  arp(asm, filter, ownMac);
  ipv4(asm, filter);
  if (v6) ipv6(asm, filter);
  return finish(asm);
}

function finish(asm: Assembler): Buffer {
  asm.label("drop");
  asm.emit(0xb7, { dst: r0, immediate: DROP });
  asm.emit(0x95, {});
  asm.label("pass");
  asm.emit(0xb7, { dst: r0, immediate: PASS_ON });
  asm.emit(0x95, {});
  return asm.assemble();
}

const ofFamily = (subnets: readonly Subnet[], family: 4 | 6): readonly Subnet[] =>
  subnets.filter((subnet) => subnet.family === family);
const linkLocal6 = { mask: 0xc0ffn, value: 0x80fen };

const word = (address: Address): number => addressBytes(address).readInt32LE(0);
const own4 = (filter: PortFilter): readonly number[] => filter.addresses.filter(({ family }) => family === 4).map(word);

/** Announces its own addresses, or asks whether an address is free (sender 0.0.0.0). */
function arp(asm: Assembler, filter: PortFilter, ownMac: { readonly mask: bigint; readonly value: bigint }): void {
  asm.label("arp");
  if (filter.anySource) return asm.jump("pass");
  asm.load(22, -16, 8);
  asm.read64(r2, -16);
  asm.ifMasked64(r2, ownMac, "arp-mac-ok");
  asm.jump("drop");
  asm.label("arp-mac-ok");
  asm.load(28, -8, 4);
  asm.read32(r2, -8);
  for (const address of [0, ...own4(filter)]) asm.emit(0x16, { dst: r2, immediate: address, target: "pass" });
  asm.jump("drop");
}

function mask4(subnet: Subnet): { readonly mask: number; readonly value: number } {
  const bits = (1n << 32n) - (1n << BigInt(32 - subnet.prefixLength));
  return { mask: word({ family: 4, value: bits }), value: word({ family: 4, value: subnet.base }) };
}

function ipv4(asm: Assembler, filter: PortFilter): void {
  asm.label("ipv4");
  asm.load(26, -8, 8);
  if (!filter.anySource) {
    asm.read32(r2, -8);
    for (const address of own4(filter)) asm.emit(0x16, { dst: r2, immediate: address, target: "ipv4-ok" });
    asm.jump("drop");
    asm.label("ipv4-ok");
  }
  asm.read32(r3, -4);
  for (const address of filter.blocked) {
    if (address.family === 4) asm.emit(0x16, { dst: r3, immediate: word(address), target: "drop" });
  }
  for (const subnet of ofFamily(filter.subnets, 4)) asm.ifMasked(r3, mask4(subnet), "pass");
  asm.ifMasked(r3, { mask: 0xf0, value: 0xe0 }, "pass"); // multicast
  asm.emit(0x16, { dst: r3, immediate: -1, target: "pass" }); // broadcast
  if (filter.internal) return asm.jump("drop");
  if (filter.networks !== undefined) asm.dropIfInSet(filter.networks[4], -8, 32);
  asm.jump("pass");
}

/** The first 64 bits of an address; a longer prefix is compared as far as that. */
function mask6(subnet: Subnet): { readonly mask: bigint; readonly value: bigint } {
  const length = BigInt(Math.min(subnet.prefixLength, 64));
  const mask = (1n << 64n) - (1n << (64n - length));
  return { mask: swap64(mask), value: swap64((subnet.base >> 64n) & mask) };
}
function swap64(value: bigint): bigint {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes.readBigUInt64LE(0);
}

function ipv6(asm: Assembler, filter: PortFilter): void {
  asm.label("ipv6");
  if (!filter.anySource) ipv6Source(asm, filter);
  asm.load(38, -16, 16);
  asm.read64(r2, -16);
  asm.read64(r3, -8);
  for (const [index, address] of filter.blocked.entries()) {
    if (address.family === 6) ifWhole(asm, address, { target: "drop", label: `blocked-${index}` });
  }
  for (const subnet of ofFamily(filter.subnets, 6)) asm.ifMasked64(r2, mask6(subnet), "pass");
  asm.ifMasked64(r2, linkLocal6, "pass");
  asm.ifMasked64(r2, { mask: 0xffn, value: 0xffn }, "pass"); // multicast
  if (filter.internal) return asm.jump("drop");
  if (filter.networks !== undefined) asm.dropIfInSet(filter.networks[6], -20, 128);
  asm.jump("pass");
}

function ipv6Source(asm: Assembler, filter: PortFilter): void {
  asm.load(22, -16, 16);
  asm.read64(r2, -16);
  asm.read64(r3, -8);
  asm.ifMasked64(r2, linkLocal6, "ipv6-ok");
  for (const [index, address] of [{ family: 6 as const, value: 0n }, ...filter.addresses].entries()) {
    if (address.family !== 6) continue;
    ifWhole(asm, address, { target: "ipv6-ok", label: `ipv6-${index}` });
  }
  asm.jump("drop");
  asm.label("ipv6-ok");
}

/** r2 and r3 hold the two halves of an address. */
function ifWhole(asm: Assembler, address: Address, go: { readonly target: string; readonly label: string }): void {
  const bytes = addressBytes(address);
  const whole = (1n << 64n) - 1n;
  asm.ifMasked64(r2, { mask: whole, value: bytes.readBigUInt64LE(0) }, `${go.label}-half`);
  asm.jump(`${go.label}-next`);
  asm.label(`${go.label}-half`);
  asm.ifMasked64(r3, { mask: whole, value: bytes.readBigUInt64LE(8) }, go.target);
  asm.label(`${go.label}-next`);
}
