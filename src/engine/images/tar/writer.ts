/** Tar archives, written: entry -> header blocks. The same entry always gives the same bytes, so that a layer has one digest.
 *  Fits into ustar what does, and puts the rest into a pax header. Pure. Source: POSIX.1-2017 pax. */
import { blockSize, type TarEntry, type TarType } from "./entry.ts";

const typeFlags: Readonly<Record<TarType, string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  char: "3",
  block: "4",
  dir: "5",
  fifo: "6",
};
const maxOctal7 = 0o7777777;
const maxOctal11 = 0o77777777777;

/** Two zero blocks. */
export const endOfArchive: Buffer = Buffer.alloc(2 * blockSize);

/** Zeros that fill the last block of `size` bytes of content. */
export function padding(size: number): Buffer {
  return endOfArchive.subarray(0, (blockSize - (size % blockSize)) % blockSize);
}

/** Header blocks of an entry, without its content. */
export function encodeHeader(entry: TarEntry): Buffer {
  const records = paxRecords(entry);
  const header = ustarBlock(entry, typeFlags[entry.type]);
  if (records.length === 0) return header;
  const content = Buffer.concat(records);
  const name = Buffer.from("././@PaxHeader");
  const pax = ustarBlock(
    { ...entry, name, linkName: Buffer.alloc(0), size: content.length, mode: 0o644, uid: 0, gid: 0 },
    "x",
  );
  return Buffer.concat([pax, content, padding(content.length), header]);
}

/** An entry without extended attributes. Names are latin1, one character a byte. */
export interface PlainEntry {
  readonly type: TarType;
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Modification time, whole seconds. */
  readonly seconds: number;
}

/** The header of an entry into `target` at `at`, the same bytes as those of `encodeHeader`, without making any object.
 *  @returns false for one that does not fit into one block: nothing is written */
export function writePlainHeader(target: Buffer, at: number, entry: PlainEntry): boolean {
  const { name, uid, gid, size, seconds } = entry;
  if (uid > maxOctal7 || gid > maxOctal7 || size > maxOctal11 || seconds < 0 || seconds > maxOctal11) return false;
  if (name.length > 100) return false;
  target.fill(0, at, at + blockSize);
  let sum = emptySum;
  for (let i = 0; i < name.length; i++) {
    const byte = name.charCodeAt(i);
    if (byte >= 0x80) return false;
    target[at + i] = byte;
    sum += byte;
  }
  sum += writeOctal(target, at + 100, 7, entry.mode);
  sum += writeOctal(target, at + 108, 7, uid);
  sum += writeOctal(target, at + 116, 7, gid);
  sum += writeOctal(target, at + 124, 11, size);
  sum += writeOctal(target, at + 136, 11, seconds);
  const flag = typeFlags[entry.type].charCodeAt(0);
  target[at + 156] = flag;
  magic.copy(target, at + 257);
  writeOctal(target, at + 329, 7, 0);
  writeOctal(target, at + 337, 7, 0);
  writeOctal(target, at + 148, 6, sum + flag);
  target[at + 155] = 0x20;
  return true;
}

const magic = Buffer.from("ustar\u000000", "latin1");
/** Of a block with nothing but the magic, two device numbers of 0 and a checksum of spaces. */
const emptySum = [...magic].reduce((total, byte) => total + byte, 0) + 14 * 0x30 + 8 * 0x20;

/** @returns the sum of the bytes */
function writeOctal(target: Buffer, at: number, digits: number, value: number): number {
  let [rest, sum] = [value, 0];
  for (let i = at + digits - 1; i >= at; i--) {
    const digit = 0x30 + (rest % 8);
    target[i] = digit;
    sum += digit;
    rest = Math.floor(rest / 8);
  }
  return sum;
}

function paxRecords(entry: TarEntry): Buffer[] {
  const records: Buffer[] = [];
  if (splitName(entry.name) === undefined || !isAscii(entry.name)) records.push(record("path", entry.name));
  if (entry.linkName.length > 100 || !isAscii(entry.linkName)) records.push(record("linkpath", entry.linkName));
  if (entry.size > maxOctal11) records.push(record("size", Buffer.from(String(entry.size))));
  if (entry.uid > maxOctal7) records.push(record("uid", Buffer.from(String(entry.uid))));
  if (entry.gid > maxOctal7) records.push(record("gid", Buffer.from(String(entry.gid))));
  const { sec, nsec } = entry.mtime;
  if (nsec !== 0 || sec < 0 || sec > maxOctal11) records.push(record("mtime", Buffer.from(formatTime(entry))));
  for (const name of [...entry.xattrs.keys()].toSorted()) {
    records.push(record(`SCHILY.xattr.${name}`, entry.xattrs.get(name) ?? Buffer.alloc(0)));
  }
  return records;
}

function formatTime({ mtime: { sec, nsec } }: TarEntry): string {
  const [sign, whole, rest] = sec >= 0 ? ["", sec, nsec] : nsec === 0 ? ["-", -sec, 0] : ["-", -sec - 1, 1e9 - nsec];
  const fraction = String(rest).padStart(9, "0").replace(/0+$/, "");
  return `${sign}${whole}${fraction === "" ? "" : `.${fraction}`}`;
}

function record(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`, "latin1"), value, Buffer.from("\n")]);
  let length = rest.length + String(rest.length).length;
  if (String(length).length !== String(rest.length).length) length = rest.length + String(length).length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function ustarBlock(entry: TarEntry, type: string): Buffer {
  const block = Buffer.alloc(blockSize);
  const [prefix, name] = splitName(entry.name) ?? [Buffer.alloc(0), entry.name.subarray(0, 100)];
  name.copy(block, 0);
  octal(block, 100, 7, entry.mode);
  octal(block, 108, 7, entry.uid > maxOctal7 ? 0 : entry.uid);
  octal(block, 116, 7, entry.gid > maxOctal7 ? 0 : entry.gid);
  octal(block, 124, 11, entry.size > maxOctal11 ? 0 : entry.size);
  octal(block, 136, 11, entry.mtime.sec < 0 || entry.mtime.sec > maxOctal11 ? 0 : entry.mtime.sec);
  block.write(type, 156, "latin1");
  entry.linkName.subarray(0, 100).copy(block, 157);
  block.write("ustar\x0000", 257, "latin1");
  octal(block, 329, 7, entry.device.major);
  octal(block, 337, 7, entry.device.minor);
  prefix.copy(block, 345);
  block.fill(0x20, 148, 156);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

function octal(block: Buffer, offset: number, digits: number, value: number): void {
  block.write(value.toString(8).padStart(digits, "0"), offset, "latin1");
}

function isAscii(bytes: Buffer): boolean {
  return bytes.every((byte) => byte < 0x80);
}

/** Prefix and name of at most 155 and 100 bytes, split at a slash; undefined when the name does not fit. */
function splitName(name: Buffer): readonly [Buffer, Buffer] | undefined {
  if (name.length <= 100) return [Buffer.alloc(0), name];
  if (name.length > 256) return undefined;
  const slash = name.indexOf(0x2f, name.length - 101);
  if (slash <= 0 || slash > 155 || slash === name.length - 1) return undefined;
  return [name.subarray(0, slash), name.subarray(slash + 1)];
}
