/** eBPF programs for packets, and the sets of subnets they look up in. Attaching them is `rtnetlink.ts`: a tcx attachment
 *  (bpf(2) itself) waits for a grace period of the kernel, a classifier does not. Source: bpf(2), linux/bpf.h. */
import { check, koffi, libc } from "./libc.ts";

const SYS_bpf = process.arch === "arm64" ? 280 : 321;
const BPF_PROG_LOAD = 5;
const BPF_PROG_TYPE_SCHED_CLS = 3;
const instructionSize = 8;

const loadAttributes = koffi.struct({
  progType: "uint32_t",
  instructionCount: "uint32_t",
  instructions: "const uint8_t *",
  license: "const uint8_t *",
  logLevel: "uint32_t",
  logSize: "uint32_t",
  log: "uint8_t *",
  kernelVersion: "uint32_t",
  flags: "uint32_t",
  name: koffi.array("uint8_t", 16),
  interfaceIndex: "uint32_t",
  expectedAttachType: "uint32_t",
});
const loadFn = libc.func("syscall", "long", ["long", "int", koffi.pointer(loadAttributes), "unsigned int"]);
const mapFn = libc.func("syscall", "long", ["long", "int", "const uint8_t *", "unsigned int"]);

const BPF_MAP_CREATE = 0;
const BPF_MAP_UPDATE_ELEM = 2;
const BPF_MAP_DELETE_ELEM = 3;
const BPF_MAP_TYPE_LPM_TRIE = 11;
const BPF_F_NO_PREALLOC = 1;
const mapCapacity = 16_384;
const elementAttributes = koffi.struct({
  map: "uint32_t",
  padding: "uint32_t",
  key: "const uint8_t *",
  value: "const uint8_t *",
  flags: "uint64_t",
});
const elementFn = libc.func("syscall", "long", ["long", "int", koffi.pointer(elementAttributes), "unsigned int"]);

/** A set of subnets that programs look addresses up in: by the longest prefix. @param addressLength 4 or 16 bytes
 *  @returns its descriptor; programs that use it keep it alive. @throws host/syscall-failed */
export function createSubnetSet(addressLength: 4 | 16): number {
  const attributes = Buffer.alloc(72);
  attributes.writeUInt32LE(BPF_MAP_TYPE_LPM_TRIE, 0);
  attributes.writeUInt32LE(4 + addressLength, 4);
  attributes.writeUInt32LE(4, 8);
  attributes.writeUInt32LE(mapCapacity, 12);
  attributes.writeUInt32LE(BPF_F_NO_PREALLOC, 16);
  return check(Number(mapFn(SYS_bpf, BPF_MAP_CREATE, attributes, attributes.length)), "bpf", "create map");
}

const subnetKey = (address: Buffer, prefixLength: number): Buffer => {
  const key = Buffer.alloc(4 + address.length);
  key.writeUInt32LE(prefixLength, 0);
  address.copy(key, 4);
  return key;
};
function changeElement(map: number, command: number, key: Buffer): number {
  const attributes = { map, padding: 0, key, value: Buffer.alloc(4), flags: 0 };
  return Number(elementFn(SYS_bpf, command, attributes, koffi.sizeof(elementAttributes)));
}
/** @throws host/syscall-failed */
export function addToSubnetSet(map: number, address: Buffer, prefixLength: number): void {
  check(changeElement(map, BPF_MAP_UPDATE_ELEM, subnetKey(address, prefixLength)), "bpf", "add to map");
}
/** One that is not in it is no error. */
export function removeFromSubnetSet(map: number, address: Buffer, prefixLength: number): void {
  changeElement(map, BPF_MAP_DELETE_ELEM, subnetKey(address, prefixLength));
}

/** Loads `program` for packets of a device; close the descriptor once it is attached.
 *  @throws host/syscall-failed, where the verifier refuses it or the kernel has no eBPF */
export function loadPacketProgram(program: Buffer): number {
  const attributes = {
    progType: BPF_PROG_TYPE_SCHED_CLS,
    instructionCount: program.length / instructionSize,
    instructions: program,
    license: Buffer.from("Apache-2.0\0"),
    logLevel: 0,
    logSize: 0,
    log: null,
    kernelVersion: 0,
    flags: 0,
    name: [...Buffer.from("tscompose_port\0\0")],
    interfaceIndex: 0,
    expectedAttachType: 0,
  };
  return check(Number(loadFn(SYS_bpf, BPF_PROG_LOAD, attributes, koffi.sizeof(loadAttributes))), "bpf", "load program");
}
