/** Netlink sockets: messages and attributes in, answers out, synchronously: the kernel has done the work when send(2) returns.
 *  Knows no message family (rtnetlink.ts, nftables.ts do). Source: netlink(7), RFC 3549. Little-endian hosts only. */
import { closeSync } from "node:fs";
import { constants as osConstants } from "node:os";
import { TscomposeError } from "../errors.ts";
import * as libc from "./libc.ts";
import { inNetns } from "./netns.ts";

export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;
const NLMSG_NOOP = 1;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;

export interface NetlinkMessage {
  readonly type: number;
  /** Beside NLM_F_REQUEST and NLM_F_ACK. */
  readonly flags: number;
  /** Family header and attributes. */
  readonly body: Buffer;
  /** For the error: `create bridge x`. */
  readonly subject: string;
  /** Errors that count as success: `EEXIST` for "make sure it is there". */
  readonly accept?: readonly string[];
}
export interface NetlinkAnswer {
  readonly type: number;
  readonly body: Buffer;
}

const align = (length: number): number => (length + 3) & ~3;

export function attribute(type: number, payload: Buffer): Buffer {
  const bytes = Buffer.alloc(align(4 + payload.length));
  bytes.writeUInt16LE(4 + payload.length, 0);
  bytes.writeUInt16LE(type, 2);
  payload.copy(bytes, 4);
  return bytes;
}
export const nested = (type: number, attributes: readonly Buffer[]): Buffer =>
  attribute(type | NLA_F_NESTED, Buffer.concat(attributes));
export const textAttribute = (type: number, text: string): Buffer => attribute(type, Buffer.from(`${text}\0`));
export function u32Attribute(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return attribute(type, bytes);
}
export function u16Attribute(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return attribute(type, bytes);
}
export const u8Attribute = (type: number, value: number): Buffer => attribute(type, Buffer.of(value));

/** The attributes in `bytes`, last of a kind wins. Stops at the first malformed one. */
export function parseAttributes(bytes: Buffer): ReadonlyMap<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) break;
    found.set(bytes.readUInt16LE(at + 2) & NLA_TYPE_MASK, bytes.subarray(at + 4, at + length));
    at += align(length);
  }
  return found;
}

const errnoNames = new Map(Object.entries(osConstants.errno).map(([name, value]) => [value, name]));

export function netlinkError(errno: number, subject: string, kernelSays?: string): TscomposeError {
  const name = errnoNames.get(errno) ?? `errno ${errno}`;
  const text = kernelSays === undefined || kernelSays === "" ? name : `${name} (${kernelSays})`;
  return new TscomposeError("host/syscall-failed", `${subject}: ${text}`, {
    details: { syscall: "netlink", errno: name, subject },
  });
}

/** One message with its header. */
export function encodeMessage(message: NetlinkMessage, sequence: number, extraFlags: number): Buffer {
  const length = 16 + message.body.length;
  const bytes = Buffer.alloc(align(length));
  bytes.writeUInt32LE(length, 0);
  bytes.writeUInt16LE(message.type, 4);
  bytes.writeUInt16LE(message.flags | NLM_F_REQUEST | extraFlags, 6);
  bytes.writeUInt32LE(sequence, 8);
  message.body.copy(bytes, 16);
  return bytes;
}

export interface ParsedMessage extends NetlinkAnswer {
  readonly flags: number;
  readonly sequence: number;
}
/** The messages in one datagram. */
export function* decodeMessages(datagram: Buffer): Generator<ParsedMessage> {
  for (let at = 0; at + 16 <= datagram.length;) {
    const length = datagram.readUInt32LE(at);
    if (length < 16 || at + length > datagram.length) return;
    yield {
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      sequence: datagram.readUInt32LE(at + 8),
      body: datagram.subarray(at + 16, at + length),
    };
    at += align(length);
  }
}

/** The error number of an acknowledgement (0: done) and the kernel's own words. */
function readAck(message: ParsedMessage): { readonly errno: number; readonly text: string } {
  const errno = -message.body.readInt32LE(0);
  if ((message.flags & NLM_F_ACK_TLVS) === 0) return { errno, text: "" };
  const capped = (message.flags & NLM_F_CAPPED) !== 0;
  const echoed = capped ? 16 : align(message.body.readUInt32LE(4));
  const text = parseAttributes(message.body.subarray(4 + echoed)).get(1);
  return { errno, text: text?.toString("utf8").replace(/\0+$/, "") ?? "" };
}

export function netlinkAddress(groups: number): Buffer {
  const address = Buffer.alloc(12);
  address.writeUInt16LE(libc.AF_NETLINK, 0);
  address.writeUInt32LE(groups >>> 0, 8);
  return address;
}

/** A request socket. Not for notifications: see `link-monitor.ts`. */
export class NetlinkSocket {
  readonly #fd: number;
  #sequence = 1;
  #closed = false;
  readonly #buffer = Buffer.allocUnsafe(256 * 1024);

  /** @param netns the namespace it speaks to; undefined: the host's */
  constructor(protocol: number, netns?: number) {
    const open = (): number => libc.socket(libc.AF_NETLINK, libc.SOCK_RAW, protocol);
    this.#fd = netns === undefined ? open() : inNetns(netns, open);
    const on = Buffer.from([1, 0, 0, 0]);
    libc.setsockopt(this.#fd, { level: SOL_NETLINK, name: NETLINK_CAP_ACK }, on);
    libc.setsockopt(this.#fd, { level: SOL_NETLINK, name: NETLINK_EXT_ACK }, on);
    // A request that the kernel never answers must not hang the engine.
    const timeout = Buffer.alloc(16);
    timeout.writeBigInt64LE(10n, 0);
    libc.setsockopt(this.#fd, { level: libc.SOL_SOCKET, name: libc.SO_RCVTIMEO }, timeout);
  }

  /** Sends all in one datagram; the kernel does them in order and goes on after a failure.
   *  @throws host/syscall-failed for the first that failed, after all have been tried */
  execute(messages: readonly NetlinkMessage[]): void {
    const [first] = this.tryAll(messages);
    if (first !== undefined) throw first;
  }

  /** As `execute`. @returns the errors */
  tryAll(messages: readonly NetlinkMessage[]): readonly TscomposeError[] {
    if (messages.length === 0) return [];
    const { base, bytes } = this.#encode(messages);
    libc.send(this.#fd, bytes);
    return this.#acknowledgements(messages, base);
  }

  /** As `tryAll`, with the kernel's work done on another thread; this socket must not be used meanwhile. */
  async tryAllOnThread(messages: readonly NetlinkMessage[]): Promise<readonly TscomposeError[]> {
    if (messages.length === 0) return [];
    const { base, bytes } = this.#encode(messages);
    await libc.sendOnThread(this.#fd, bytes);
    return this.#acknowledgements(messages, base);
  }

  #encode(messages: readonly NetlinkMessage[]): { readonly base: number; readonly bytes: Buffer } {
    const base = this.#sequence;
    this.#sequence += messages.length;
    return { base, bytes: Buffer.concat(messages.map((one, index) => encodeMessage(one, base + index, NLM_F_ACK))) };
  }

  #acknowledgements(messages: readonly NetlinkMessage[], base: number): readonly TscomposeError[] {
    const errors: TscomposeError[] = [];
    for (let open = messages.length; open > 0;) {
      for (const answer of this.#receive()) {
        const message = messages[answer.sequence - base];
        if (message === undefined || answer.type !== NLMSG_ERROR) continue;
        open -= 1;
        const { errno, text } = readAck(answer);
        if (errno === 0 || message.accept?.includes(errnoNames.get(errno) ?? "") === true) continue;
        errors.push(netlinkError(errno, message.subject, text));
      }
    }
    return errors;
  }

  /** Raw bytes in one datagram (nf_tables batches); `sequences` are those that ask for an acknowledgement.
   *  @throws host/syscall-failed for the first refusal */
  executeBatch(
    encode: (firstSequence: number) => { readonly bytes: Buffer; readonly sequences: readonly number[] },
  ): void {
    const { bytes, sequences } = encode(this.#sequence);
    this.#sequence = Math.max(this.#sequence, ...sequences) + 2;
    libc.send(this.#fd, bytes);
    const open = new Set(sequences);
    while (open.size > 0) {
      for (const answer of this.#receive()) {
        if (answer.type !== NLMSG_ERROR) continue;
        open.delete(answer.sequence);
        const { errno, text } = readAck(answer);
        if (errno !== 0) {
          this.#drain();
          throw netlinkError(errno, "nf_tables batch", text);
        }
      }
    }
  }

  /** One answer to one question. @throws host/syscall-failed */
  query(message: NetlinkMessage): NetlinkAnswer {
    const sequence = this.#sequence;
    this.#sequence += 1;
    libc.send(this.#fd, encodeMessage(message, sequence, 0));
    for (;;) {
      for (const answer of this.#receive()) {
        if (answer.sequence !== sequence) continue;
        if (answer.type !== NLMSG_ERROR) return { type: answer.type, body: Buffer.from(answer.body) };
        const { errno, text } = readAck(answer);
        throw netlinkError(errno, message.subject, text);
      }
    }
  }

  /** All answers of a dump. @throws host/syscall-failed */
  dump(message: NetlinkMessage): readonly NetlinkAnswer[] {
    const sequence = this.#sequence;
    this.#sequence += 1;
    libc.send(this.#fd, encodeMessage(message, sequence, NLM_F_DUMP));
    const answers: NetlinkAnswer[] = [];
    for (;;) {
      for (const answer of this.#receive()) {
        if (answer.sequence !== sequence || answer.type === NLMSG_NOOP) continue;
        if (answer.type === NLMSG_DONE) return answers;
        if (answer.type === NLMSG_ERROR) throw netlinkError(readAck(answer).errno, message.subject);
        answers.push({ type: answer.type, body: Buffer.from(answer.body) });
      }
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#fd);
  }

  #receive(): readonly ParsedMessage[] {
    const length = libc.recv(this.#fd, this.#buffer);
    if (length < 0) throw netlinkError(osConstants.errno.ETIMEDOUT, "netlink answer");
    return [...decodeMessages(this.#buffer.subarray(0, length))];
  }

  #drain(): void {
    while (libc.recv(this.#fd, this.#buffer, libc.MSG_DONTWAIT) > 0);
  }
}
