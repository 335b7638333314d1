/** Many datagrams in one system call, for sockets that libuv watches: what came after the one it read, and the answers. One instance
 *  serves any number of sockets, one after the other. Source: recvmmsg(2), sendmmsg(2), recvmsg(2). 64-bit, little-endian. */
import { koffi, libc } from "./libc.ts";

const MSG_DONTWAIT = 0x40;
const MSG_TRUNC = 0x20;
const MSG_NOSIGNAL = 0x4000;
const addressSize = 28; // sockaddr_in6
const headerSize = 64; // struct mmsghdr: msghdr of 56 bytes, msg_len
const vectorSize = 16;
const nameLengthAt = 8;
const flagsAt = 48;
const lengthAt = 56;

const recvmmsgFn = libc.func("int recvmmsg(int, uint8_t *, unsigned int, int, void *)");
const sendmmsgFn = libc.func("int sendmmsg(int, uint8_t *, unsigned int, int)");
const sendtoFn = libc.func("long sendto(int, const uint8_t *, size_t, int, const uint8_t *, unsigned int)");

/** Without waiting. False: it was not taken; a datagram may always get lost. */
export function sendTo(fd: number, data: Buffer, address: Buffer): boolean {
  return Number(sendtoFn(fd, data, data.length, MSG_DONTWAIT | MSG_NOSIGNAL, address, address.length)) >= 0;
}

export class DatagramBatch {
  readonly capacity: number;
  readonly #size: number;
  readonly #received: Buffer;
  readonly #replies: Buffer;
  readonly #addresses: Buffer;
  readonly #inVectors: Buffer;
  readonly #outVectors: Buffer;
  readonly #inHeaders: Buffer;
  /** One of each slot; those of slots that have an answer are copied together. */
  readonly #outTemplates: Buffer;
  readonly #outHeaders: Buffer;
  #replyCount = 0;

  /** @param capacity datagrams a call; @param size longest datagram in bytes, in both directions */
  constructor(capacity: number, size: number) {
    this.capacity = capacity;
    this.#size = size;
    this.#received = Buffer.alloc(capacity * size);
    this.#replies = Buffer.alloc(capacity * size);
    this.#addresses = Buffer.alloc(capacity * addressSize);
    this.#inVectors = vectorsFor(this.#received, capacity, size);
    this.#outVectors = vectorsFor(this.#replies, capacity, size);
    this.#inHeaders = this.#headers(this.#inVectors);
    this.#outTemplates = this.#headers(this.#outVectors);
    this.#outHeaders = Buffer.alloc(capacity * headerSize);
  }

  #headers(vectors: Buffer): Buffer {
    const headers = Buffer.alloc(this.capacity * headerSize);
    for (let slot = 0; slot < this.capacity; slot += 1) {
      const at = slot * headerSize;
      headers.writeBigUInt64LE(koffi.address(this.#addresses) + BigInt(slot * addressSize), at);
      headers.writeUInt32LE(addressSize, at + nameLengthAt);
      headers.writeBigUInt64LE(koffi.address(vectors) + BigInt(slot * vectorSize), at + 16);
      headers.writeUInt32LE(1, at + 24);
    }
    return headers;
  }

  /** Takes what has come, forgetting what was there before. @returns how many; 0 also after an error, which the watcher sees */
  receive(fd: number): number {
    const count = recvmmsgFn(fd, this.#inHeaders, this.capacity, MSG_DONTWAIT, null) as number;
    this.#replyCount = 0;
    for (let slot = 0; slot < count; slot += 1) {
      const at = slot * headerSize + nameLengthAt;
      this.#outTemplates.writeUInt32LE(this.#inHeaders.readUInt32LE(at), at);
      this.#inHeaders.writeUInt32LE(addressSize, at);
    }
    return Math.max(0, count);
  }

  /** A view that holds until the next `receive`; empty for a datagram that was longer than `size`. */
  message(slot: number): Buffer {
    const at = slot * headerSize;
    const cut = (this.#inHeaders.readUInt32LE(at + flagsAt) & MSG_TRUNC) !== 0;
    const start = slot * this.#size;
    return this.#received.subarray(start, start + (cut ? 0 : this.#inHeaders.readUInt32LE(at + lengthAt)));
  }

  /** A copy of the sender's socket address. */
  sender(slot: number): Buffer {
    const length = this.#outTemplates.readUInt32LE(slot * headerSize + nameLengthAt);
    const start = slot * addressSize;
    return Buffer.from(this.#addresses.subarray(start, start + length));
  }

  /** Answers the datagram of `slot` with the next `send`. Longer ones than `size` are left out. */
  reply(slot: number, answer: Buffer): void {
    if (answer.length > this.#size) return;
    answer.copy(this.#replies, slot * this.#size);
    this.#outVectors.writeUInt32LE(answer.length, slot * vectorSize + 8);
    const from = slot * headerSize;
    this.#outTemplates.copy(this.#outHeaders, this.#replyCount * headerSize, from, from + headerSize);
    this.#replyCount += 1;
  }

  /** Sends the answers. Those that the kernel does not take get lost, as datagrams do. */
  send(fd: number): void {
    for (let done = 0; done < this.#replyCount;) {
      const headers = this.#outHeaders.subarray(done * headerSize);
      const sent = sendmmsgFn(fd, headers, this.#replyCount - done, MSG_DONTWAIT | MSG_NOSIGNAL) as number;
      done += Math.max(1, sent);
    }
    this.#replyCount = 0;
  }
}

function vectorsFor(buffer: Buffer, capacity: number, size: number): Buffer {
  const vectors = Buffer.alloc(capacity * vectorSize);
  for (let slot = 0; slot < capacity; slot += 1) {
    vectors.writeBigUInt64LE(koffi.address(buffer) + BigInt(slot * size), slot * vectorSize);
    vectors.writeUInt32LE(size, slot * vectorSize + 8);
  }
  return vectors;
}
