/** Protocol buffers by tables of fields: a message is a record of fields, each with its number and its kind. What is not in the table
 *  is skipped. The bytes are hostile: nothing is read beyond the end, and no more is made of them than they are.
 *  Source: protobuf.dev, "Encoding". */
import { TscomposeError } from "../../errors.ts";

/** Wire types. */
const varint = 0;
const fixed64 = 1;
const bytesType = 2;
const fixed32 = 5;

type Payload = bigint | Buffer;

/** One field of a message: what it is when absent, how a value is written, what a further occurrence makes of it. */
export interface Field<T> {
  readonly number: number;
  empty(): T;
  write(value: T): Buffer;
  read(payload: Payload, before: T): T;
}

type Fields = Readonly<Record<string, Field<unknown>>>;
type Values<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never };

export interface Message<T> {
  /** Fields that are left out have no bytes. */
  encode(value: Partial<T>): Buffer;
  /** @throws request/invalid for what is no such message */
  decode(bytes: Buffer): T;
}

export type MessageOf<M> = M extends Message<infer T> ? T : never;

function malformed(why: string): TscomposeError {
  return new TscomposeError("request/invalid", `not a protobuf message: ${why}`);
}

export function message<F extends Fields>(fields: F): Message<Values<F>> {
  const byNumber = new Map(Object.entries(fields).map(([name, field]) => [field.number, { name, field }]));
  return {
    encode: (value) =>
      Buffer.concat(
        Object.entries(fields).flatMap(([name, field]) => {
          const given: unknown = value[name];
          return given === undefined ? [] : [field.write(given)];
        }),
      ),
    decode: (bytes) => {
      const values = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.empty()]));
      for (const [number, payload] of fieldsOf(bytes)) {
        const known = byNumber.get(number);
        if (known !== undefined) values[known.name] = known.field.read(payload, values[known.name]);
      }
      return values as Values<F>;
    },
  };
}

function* fieldsOf(bytes: Buffer): Generator<readonly [number, Payload]> {
  let at = 0;
  const next = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at];
      if (byte === undefined) throw malformed("it ends in the middle of a number");
      at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw malformed("a number has more than ten bytes");
  };
  const take = (length: number): Buffer => {
    if (length > bytes.length - at) throw malformed("it ends in the middle of a field");
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = Number(next());
    const number = Math.floor(tag / 8);
    if (number < 1) throw malformed("a field has the number 0");
    switch (tag % 8) {
      case varint:
        yield [number, next()];
        break;
      case bytesType:
        yield [number, take(Number(next()))];
        break;
      case fixed64:
        take(8);
        break;
      case fixed32:
        take(4);
        break;
      default:
        throw malformed(`a field has the wire type ${tag % 8}`);
    }
  }
}

function encodeVarint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

function encodeTag(number: number, wire: number): Buffer {
  return encodeVarint(BigInt(number * 8 + wire));
}

function encodeBytes(number: number, content: Buffer): Buffer {
  return Buffer.concat([encodeTag(number, bytesType), encodeVarint(BigInt(content.length)), content]);
}

function encodeInteger(number: number, value: bigint): Buffer {
  return Buffer.concat([encodeTag(number, varint), encodeVarint(value)]);
}

function asBytes(payload: Payload): Buffer {
  if (typeof payload === "bigint") throw malformed("a number stands where bytes were expected");
  return payload;
}

function asInteger(payload: Payload): bigint {
  if (typeof payload !== "bigint") throw malformed("bytes stand where a number was expected");
  return BigInt.asIntN(64, payload);
}

const nothing = Buffer.alloc(0);

export function bytes(number: number): Field<Buffer> {
  return {
    number,
    empty: () => nothing,
    write: (value) => (value.length === 0 ? nothing : encodeBytes(number, value)),
    read: asBytes,
  };
}

export function text(number: number): Field<string> {
  return {
    number,
    empty: () => "",
    write: (value) => (value === "" ? nothing : encodeBytes(number, Buffer.from(value))),
    read: (payload) => asBytes(payload).toString("utf8"),
  };
}

/** Beyond 2^53 it is not exact. */
export function integer(number: number): Field<number> {
  return {
    number,
    empty: () => 0,
    write: (value) => (value === 0 ? nothing : encodeInteger(number, BigInt(Math.trunc(value)))),
    read: (payload) => Number(asInteger(payload)),
  };
}

export function long(number: number): Field<bigint> {
  return {
    number,
    empty: () => 0n,
    write: (value) => (value === 0n ? nothing : encodeInteger(number, value)),
    read: asInteger,
  };
}

export function flag(number: number): Field<boolean> {
  return {
    number,
    empty: () => false,
    write: (value) => (value ? encodeInteger(number, 1n) : nothing),
    read: (payload) => asInteger(payload) !== 0n,
  };
}

/** In place: what is read is this codec's own, and a copy for each would let a long list take forever. */
function appended<T>(before: readonly T[], value: T): readonly T[] {
  (before as T[]).push(value);
  return before;
}

/** A message in a message. */
export function one<T>(number: number, inner: Message<T>): Field<Partial<T> | undefined> {
  return {
    number,
    empty: () => undefined,
    write: (value) => (value === undefined ? nothing : encodeBytes(number, inner.encode(value))),
    read: (payload) => inner.decode(asBytes(payload)),
  };
}

export function many<T>(number: number, inner: Message<T>): Field<readonly Partial<T>[]> {
  return {
    number,
    empty: () => [],
    write: (values) => Buffer.concat(values.map((value) => encodeBytes(number, inner.encode(value)))),
    read: (payload, before) => appended(before, inner.decode(asBytes(payload))),
  };
}

export function texts(number: number): Field<readonly string[]> {
  return {
    number,
    empty: () => [],
    write: (values) => Buffer.concat(values.map((value) => encodeBytes(number, Buffer.from(value)))),
    read: (payload, before) => appended(before, asBytes(payload).toString("utf8")),
  };
}

export function manyBytes(number: number): Field<readonly Buffer[]> {
  return {
    number,
    empty: () => [],
    write: (values) => Buffer.concat(values.map((value) => encodeBytes(number, value))),
    read: (payload, before) => appended(before, asBytes(payload)),
  };
}

/** A map from text: entries are messages of a key (1) and a value (2). */
export function mapOf<T>(number: number, value: (number: number) => Field<T>): Field<ReadonlyMap<string, T>> {
  const entry = message({ key: text(1), value: value(2) });
  return {
    number,
    empty: () => new Map(),
    write: (values) =>
      Buffer.concat(
        [...values].map(([key, item]) =>
          encodeBytes(number, entry.encode({ key, value: item } as unknown as MessageOf<typeof entry>)),
        ),
      ),
    read: (payload, before) => {
      const read = entry.decode(asBytes(payload));
      (before as Map<string, T>).set(read.key, read.value as T);
      return before;
    },
  };
}

const timestamp = message({ seconds: integer(1), nanos: integer(2) });

/** google.protobuf.Timestamp, in milliseconds since the epoch. */
export function time(number: number): Field<number | undefined> {
  return {
    number,
    empty: () => undefined,
    write: (ms) => {
      if (ms === undefined) return nothing;
      const seconds = Math.floor(ms / 1000);
      return encodeBytes(number, timestamp.encode({ seconds, nanos: Math.floor((ms - seconds * 1000) * 1e6) }));
    },
    read: (payload) => {
      const { seconds, nanos } = timestamp.decode(asBytes(payload));
      return seconds * 1000 + nanos / 1e6;
    },
  };
}
