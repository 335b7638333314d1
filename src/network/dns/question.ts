/** The question in a DNS query, read strictly: anything odd is refused rather than interpreted. Pure.
 *  Source: RFC 1035 section 4.1, RFC 6891 (EDNS), RFC 9267 (what goes wrong in parsers). */

export interface Question {
  readonly id: number;
  /** Without the final dot, as written; empty: the root. Bytes outside printable ASCII as `\ddd`. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly recursionDesired: boolean;
  /** Header end to question end: copied into the answer as it is, so that letter case survives. */
  readonly raw: Buffer;
  /** Largest UDP answer the asker takes. */
  readonly udpSize: number;
  readonly edns: boolean;
}
export type ParsedQuery =
  | { readonly kind: "question"; readonly question: Question }
  /** An answer with this code, and nothing but the header, is due. */
  | { readonly kind: "refuse"; readonly id: number; readonly rcode: number; readonly opcode: number }
  /** Not a query: no answer at all, or two servers could talk for ever. */
  | { readonly kind: "drop" };

export const FORMERR = 1;
export const SERVFAIL = 2;
export const NXDOMAIN = 3;
export const NOTIMP = 4;
export const REFUSED = 5;
const plainUdpSize = 512;
export const largestUdpSize = 4096;
const OPT = 41;

export function parseQuery(message: Buffer): ParsedQuery {
  if (message.length < 12) return { kind: "drop" };
  const id = message.readUInt16BE(0);
  const flags = message.readUInt16BE(2);
  if ((flags & 0x8000) !== 0) return { kind: "drop" };
  const opcode = (flags >> 11) & 15;
  const refuse = (rcode: number): ParsedQuery => ({ kind: "refuse", id, rcode, opcode });
  if (opcode !== 0) return refuse(NOTIMP);
  if ((flags & 0x0200) !== 0) return refuse(FORMERR);
  if (message.readUInt16BE(4) !== 1 || message.readUInt16BE(6) !== 0 || message.readUInt16BE(8) !== 0) {
    return refuse(FORMERR);
  }
  const name = readName(message, 12);
  if (name === undefined || name.end + 4 > message.length) return refuse(FORMERR);
  const end = name.end + 4;
  const extra = readAdditional(message, end, message.readUInt16BE(10));
  if (extra === undefined) return refuse(FORMERR);
  return {
    kind: "question",
    question: {
      id,
      name: name.text,
      type: message.readUInt16BE(name.end),
      class: message.readUInt16BE(name.end + 2),
      recursionDesired: (flags & 0x0100) !== 0,
      raw: message.subarray(12, end),
      udpSize: extra.udpSize,
      edns: extra.edns,
    },
  };
}

/** A name without compression: in a question there is nothing to point back to. At most 255 bytes, labels of at most 63. */
function readName(message: Buffer, start: number): { readonly text: string; readonly end: number } | undefined {
  const labels: string[] = [];
  let at = start;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > 63 || at + 1 + length > message.length || at + length - start > 254) {
      return undefined;
    }
    if (length === 0) return { text: labels.join("."), end: at + 1 };
    labels.push(escapeLabel(message.subarray(at + 1, at + 1 + length)));
    at += 1 + length;
  }
}

function escapeLabel(label: Buffer): string {
  for (const byte of label) {
    if (byte <= 0x20 || byte >= 0x7f || byte === 0x2e || byte === 0x5c) return escapeSlowly(label);
  }
  return label.toString("latin1");
}
function escapeSlowly(label: Buffer): string {
  return [...label]
    .map((byte) => {
      if (byte === 0x2e || byte === 0x5c) return `\\${String.fromCharCode(byte)}`;
      return byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\${byte.toString().padStart(3, "0")}`;
    })
    .join("");
}

/** Only an OPT record counts; what else is there must at least be well formed. undefined: it is not. */
function readAdditional(
  message: Buffer,
  start: number,
  count: number,
): { readonly udpSize: number; readonly edns: boolean } | undefined {
  let at = start;
  let found = { udpSize: plainUdpSize, edns: false };
  if (count > 4) return undefined;
  for (let n = 0; n < count; n += 1) {
    const name = readName(message, at);
    if (name === undefined || name.end + 10 > message.length) return undefined;
    const end = name.end + 10 + message.readUInt16BE(name.end + 8);
    if (end > message.length) return undefined;
    if (message.readUInt16BE(name.end) === OPT) {
      if (name.text !== "" || found.edns) return undefined;
      const size = message.readUInt16BE(name.end + 2);
      found = { udpSize: Math.min(Math.max(size, plainUdpSize), largestUdpSize), edns: true };
    }
    at = end;
  }
  return found;
}
