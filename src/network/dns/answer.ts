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
  const opt = question.edns ? ednsRecord : Buffer.alloc(0);
  let records = answer.records.map(encodeRecord);
  const base = 12 + question.raw.length + opt.length;
  let truncated = false;
  while (records.length > 0 && base + records.reduce((sum, one) => sum + one.length, 0) > answer.limit) {
    records = records.slice(0, -1);
    truncated = true;
  }
  const header = Buffer.alloc(12);
  header.writeUInt16BE(question.id, 0);
  const flags = 0x8000 | (question.recursionDesired ? 0x0100 : 0) | 0x0080 | (truncated ? 0x0200 : 0);
  header.writeUInt16BE(flags | answer.rcode, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  header.writeUInt16BE(question.edns ? 1 : 0, 10);
  return Buffer.concat([header, question.raw, ...records, opt]);
}

/** A bare header. */
export function encodeRefusal(id: number, opcode: number, rcode: number): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x8080 | (opcode << 11) | rcode, 2);
  return header;
}

/** Root, type OPT, 1232 bytes (the size that passes every path unfragmented), nothing else. */
const ednsRecord = Buffer.from([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);

function encodeRecord(record: ResourceRecord): Buffer {
  const data = recordData(record);
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(TYPE[record.type], 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(timeToLive, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function recordData(record: ResourceRecord): Buffer {
  switch (record.type) {
    case "A":
    case "AAAA": {
      const address = parseAddress(record.address);
      return address === undefined ? Buffer.alloc(record.type === "A" ? 4 : 16) : addressBytes(address);
    }
    case "PTR":
      return encodeName(record.name);
    case "SRV":
      return Buffer.concat([Buffer.of(0, 0, 0, 0, record.port >> 8, record.port & 255), encodeName(record.name)]);
  }
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
