/** An upstream's answer, checked before anything of it is used. Pure. Source: RFC 1035 section 4.1, RFC 2308, RFC 9267. */
import type { Question } from "./question.ts";

export interface CheckedResponse {
  readonly rcode: number;
  readonly truncated: boolean;
  /** Where the time-to-live fields are. */
  readonly ttlOffsets: readonly number[];
  /** How long it may be kept, in seconds: the smallest of them; of "there is no such thing" what the zone says about that, 0 when it
   *  says nothing. */
  readonly minimumTtl: number;
}
const OPT = 41;
const SOA = 6;
/** Two names of a byte each, five numbers. */
const shortestSoa = 22;
const recordLimit = 1000;

/** undefined: not the answer to this question, or malformed. */
export function checkResponse(message: Buffer, id: number, question: Question): CheckedResponse | undefined {
  const questionEnd = 12 + question.raw.length;
  if (message.length < 12 || message.readUInt16BE(0) !== id) return undefined;
  const flags = message.readUInt16BE(2);
  if ((flags & 0xf800) !== 0x8000 || message.readUInt16BE(4) !== 1 || message.length < questionEnd) return undefined;
  if (!sameQuestion(message.subarray(12, questionEnd), question.raw)) return undefined;
  const answers = message.readUInt16BE(6);
  const count = answers + message.readUInt16BE(8) + message.readUInt16BE(10);
  const found = findTtls(message, questionEnd, count);
  if (found === undefined) return undefined;
  const { offsets, negative } = found;
  const isNegative = answers === 0;
  const ttls = offsets.map((offset) => message.readUInt32BE(offset));
  if (isNegative) ttls.push(negative ?? 0);
  return {
    rcode: flags & 15,
    truncated: (flags & 0x0200) !== 0,
    ttlOffsets: offsets,
    minimumTtl: ttls.length === 0 ? 0 : Math.min(...ttls),
  };
}

/** Letter case may have been changed on the way. */
function sameQuestion(a: Buffer, b: Buffer): boolean {
  if (a.equals(b)) return true;
  return a.length === b.length && a.toString("latin1").toLowerCase() === b.toString("latin1").toLowerCase();
}

interface FoundTtls {
  readonly offsets: readonly number[];
  /** The last field of a SOA record. */
  readonly negative: number | undefined;
}
function findTtls(message: Buffer, start: number, count: number): FoundTtls | undefined {
  if (count > recordLimit) return undefined;
  const offsets: number[] = [];
  let negative: number | undefined;
  let at = start;
  for (let n = 0; n < count; n += 1) {
    const end = skipName(message, at);
    if (end === undefined || end + 10 > message.length) return undefined;
    const length = message.readUInt16BE(end + 8);
    at = end + 10 + length;
    if (at > message.length) return undefined;
    const type = message.readUInt16BE(end);
    if (type !== OPT) offsets.push(end + 4);
    if (type === SOA && length >= shortestSoa) negative = message.readUInt32BE(at - 4);
  }
  return { offsets, negative };
}

/** A pointer ends a name; where it points to is not our business. */
function skipName(message: Buffer, start: number): number | undefined {
  for (let at = start; at - start <= 255;) {
    const length = message[at];
    if (length === undefined) return undefined;
    if (length === 0) return at + 1;
    if ((length & 0xc0) === 0xc0) return at + 2 <= message.length ? at + 2 : undefined;
    if (length > 63) return undefined;
    at += 1 + length;
  }
  return undefined;
}
