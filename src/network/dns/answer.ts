/** Answers as bytes. Pure. Names inside answers are those of containers: short, ASCII. Source: RFC 1035 section 4.1, RFC 2782. */
import { addressBytes, parseAddress } from "../cidr.ts";
import type { Question } from "./question.ts";

export const TYPE = { A: 1, PTR: 12, AAAA: 28, SRV: 33, ANY: 255 } as const;
/** Seconds. Short, because a service may get other members at any time. */
const timeToLive = 10;

export type ResourceRecord =
  | { readonly type: "A" | "AAAA"; readonly address: string }
  | { readonly type: "PTR"; readonly name: string }
  | { readonly type: "SRV"; readonly port: number; readonly name: string };

/** The question again, with records or an error code; cut off with TC set where `limit` bytes do not hold it. */
export function encodeAnswer(
  question: Question,
  answer: { readonly rcode: number; readonly records: readonly ResourceRecord[]; readonly limit: number },
): Buffer {
  const tail = question.edns ? ednsRecord.length : 0;
  const start = headerLength + question.raw.length;
  const data: Buffer[] = [];
  let end = start;
  for (const record of answer.records) {
    const bytes = recordData(record);
    if (end + recordHead + bytes.length + tail > answer.limit) break;
    end += recordHead + bytes.length;
    data.push(bytes);
  }
  const truncated = data.length < answer.records.length;
  const message = Buffer.allocUnsafe(end + tail);
  message.writeUInt16BE(question.id, 0);
  const flags = 0x8000 | (question.recursionDesired ? 0x0100 : 0) | 0x0080 | (truncated ? 0x0200 : 0);
  message.writeUInt16BE(flags | answer.rcode, 2);
  message.writeUInt32BE(0x00010000 | data.length, 4); // one question, so many answers
  message.writeUInt32BE(question.edns ? 1 : 0, 8);
  question.raw.copy(message, headerLength);
  let at = start;
  data.forEach((bytes, index) => {
    at = writeRecord(message, at, { type: TYPE[answer.records[index]?.type ?? "A"], data: bytes });
  });
  if (question.edns) ednsRecord.copy(message, at);
  return message;
}
const headerLength = 12;
const recordHead = 12;

/** A bare header. */
export function encodeRefusal(id: number, opcode: number, rcode: number): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x8080 | (opcode << 11) | rcode, 2);
  return header;
}

/** Root, type OPT, 1232 bytes (the size that passes every path unfragmented), nothing else. */
const ednsRecord = Buffer.from([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);

function writeRecord(message: Buffer, at: number, record: { readonly type: number; readonly data: Buffer }): number {
  message.writeUInt16BE(0xc00c, at); // the name in the question
  message.writeUInt16BE(record.type, at + 2);
  message.writeUInt16BE(1, at + 4);
  message.writeUInt32BE(timeToLive, at + 6);
  message.writeUInt16BE(record.data.length, at + 10);
  record.data.copy(message, at + recordHead);
  return at + recordHead + record.data.length;
}

function recordData(record: ResourceRecord): Buffer {
  switch (record.type) {
    case "A":
    case "AAAA":
      return addressData(record.type, record.address);
    case "PTR":
      return encodeName(record.name);
    case "SRV":
      return Buffer.concat([Buffer.of(0, 0, 0, 0, record.port >> 8, record.port & 255), encodeName(record.name)]);
  }
}

/** Reading an address costs more than all the rest of an answer, and the same ones are asked for all the time. */
const addressCache = new Map<string, Buffer>();
const addressCacheSize = 4096;
function addressData(type: "A" | "AAAA", text: string): Buffer {
  const known = addressCache.get(text);
  if (known !== undefined) return known;
  const address = parseAddress(text);
  if (address === undefined) return Buffer.alloc(type === "A" ? 4 : 16);
  if (addressCache.size >= addressCacheSize) addressCache.clear();
  const bytes = addressBytes(address);
  addressCache.set(text, bytes);
  return bytes;
}

/** Labels longer than the format allows are cut: the name is ours, and no name is better than a broken packet. */
export function encodeName(name: string): Buffer {
  const labels = name.split(".").filter((label) => label !== "");
  const parts = labels.map((label) => {
    const bytes = Buffer.from(label, "latin1").subarray(0, 63);
    return Buffer.concat([Buffer.of(bytes.length), bytes]);
  });
  return Buffer.concat([...parts, Buffer.of(0)]);
}
