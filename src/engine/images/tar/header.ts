/** The 512-byte header block -> fields, for ustar, GNU and old archives. Pure. Source: POSIX.1-2017 pax, "ustar Interchange
 *  Format"; GNU tar manual, "Basic Tar Format". */
import { TscomposeError } from "../../../errors.ts";
import { blockSize } from "./entry.ts";

export interface RawHeader {
  readonly name: Buffer;
  readonly linkName: Buffer;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly type: string;
  readonly major: number;
  readonly minor: number;
}

export function isZeroBlock(block: Buffer): boolean {
  return block.equals(zeroBlock);
}
const zeroBlock = Buffer.alloc(blockSize);

/** @throws image/invalid for a wrong checksum or a number that is none */
export function parseHeader(block: Buffer): RawHeader {
  assertChecksum(block);
  const type = String.fromCharCode(block[156] ?? 0);
  const magic = block.toString("latin1", 257, 265);
  const posix = magic === "ustar\x0000";
  const known = posix || magic === "ustar  \0";
  const prefix = posix ? text(block, 345, 155) : empty;
  const name = text(block, 0, 100);
  const device = known && (type === "3" || type === "4");
  return {
    name: prefix.length === 0 ? name : Buffer.concat([prefix, slash, name]),
    linkName: text(block, 157, 100),
    mode: number(block, 100, 8),
    uid: number(block, 108, 8),
    gid: number(block, 116, 8),
    size: number(block, 124, 12),
    mtime: number(block, 136, 12),
    type: type === "\0" ? "0" : type,
    major: device ? number(block, 329, 8) : 0,
    minor: device ? number(block, 337, 8) : 0,
  };
}

const empty = Buffer.alloc(0);
const slash = Buffer.from("/");

/** Up to the first NUL, copied: the block is reused. */
function text(block: Buffer, offset: number, length: number): Buffer {
  const field = block.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return Buffer.from(end < 0 ? field : field.subarray(0, end));
}

/** Octal text, or base 256 when the first bit is set (GNU: two's complement, so it may be negative). */
function number(block: Buffer, offset: number, length: number): number {
  const first = block[offset] ?? 0;
  if ((first & 0x80) !== 0) return base256(block.subarray(offset, offset + length));
  let value = 0;
  let i = offset;
  const end = offset + length;
  while (i < end && (block[i] === 0x20 || block[i] === 0)) i++;
  for (; i < end; i++) {
    const digit = (block[i] ?? 0) - 0x30;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  for (; i < end; i++) {
    if (block[i] !== 0x20 && block[i] !== 0) throw broken("a number in a header is not octal");
  }
  return value;
}

function base256(field: Buffer): number {
  const negative = ((field[0] ?? 0) & 0x40) !== 0;
  let value = BigInt((field[0] ?? 0) & (negative ? 0xff : 0x7f));
  for (const byte of field.subarray(1)) value = (value << 8n) | BigInt(byte);
  if (negative) value -= 1n << BigInt(field.length * 8);
  if (value > Number.MAX_SAFE_INTEGER || value < Number.MIN_SAFE_INTEGER) throw broken("a number is out of range");
  return Number(value);
}

/** The sum of the bytes with the checksum field as spaces; some old programs summed signed bytes. */
function assertChecksum(block: Buffer): void {
  let unsigned = 0;
  let high = 0;
  for (let i = 0; i < blockSize; i++) {
    const byte = i >= 148 && i < 156 ? 0x20 : (block[i] ?? 0);
    unsigned += byte;
    if (byte > 127) high++;
  }
  const stored = number(block, 148, 8);
  if (stored !== unsigned && stored !== unsigned - 256 * high) throw broken("the checksum of a header is wrong");
}

export function broken(reason: string): TscomposeError {
  return new TscomposeError("image/invalid", `tar archive is broken: ${reason}`);
}
