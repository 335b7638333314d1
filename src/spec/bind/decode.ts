import type { Report } from "../report.ts";
import { formatScalar } from "../scalar.ts";
import { describe } from "../schema/validate.ts";
import { compareBytes } from "../compare.ts";
import { toPlain } from "../tree.ts";
import type { Node, ScalarNode } from "../tree.ts";

/** Decoders turn a canonical tree into the model with Go's conversions (mapstructure's), and report what does not convert.
 *  They return undefined for "nothing there". */
export type Decoder<T = unknown> = (node: Node, context: BindContext) => T | undefined;

export interface BindContext {
  readonly report: Report;
  /** Of the value in hand; grows and shrinks as decoders descend. */
  readonly path: string[];
}

export function refuse(node: Node, context: BindContext, expected: string): undefined {
  const message = `${context.path.join(".")} must be ${expected}, not ${describe(node)}`;
  context.report.error({ code: "wrong-type", message, path: [...context.path], at: node, expected });
  return undefined;
}

function isScalar(node: Node): node is ScalarNode {
  return node.kind === "scalar";
}

export const string: Decoder<string> = (node, context) => {
  if (isScalar(node)) {
    if (typeof node.value === "string") return node.value;
    if (node.value === null) return undefined;
    if ((typeof node.value === "number" && !node.float) || typeof node.value === "bigint") return String(node.value);
  }
  return refuse(node, context, "text");
};

/** Any scalar, as Go prints it. */
export const printed: Decoder<string> = (node, context) => {
  if (!isScalar(node)) return refuse(node, context, "a single value");
  return node.value === null ? "" : formatScalar(node.value, node.float);
};

const words = new Map([
  ["true", true],
  ["y", true],
  ["yes", true],
  ["on", true],
  ["false", false],
  ["n", false],
  ["no", false],
  ["off", false],
]);

export const boolean: Decoder<boolean> = (node, context) => {
  if (isScalar(node)) {
    if (typeof node.value === "boolean") return node.value;
    if (node.value === null) return undefined;
    const word = typeof node.value === "string" ? words.get(node.value.toLowerCase()) : undefined;
    if (word !== undefined) return word;
  }
  return refuse(node, context, "true or false");
};

function toNumber(node: Node, texts: "texts" | "no texts"): number | undefined {
  if (!isScalar(node)) return undefined;
  if (typeof node.value === "number") return node.value;
  if (typeof node.value === "bigint") return Number(node.value);
  if (texts === "texts" && typeof node.value === "string" && /^[-+]?[0-9]+$/.test(node.value))
    return Number(node.value);
  return undefined;
}

export const integer: Decoder<number> = (node, context) => {
  if (isScalar(node) && node.value === null) return undefined;
  const value = toNumber(node, "texts");
  return value === undefined ? refuse(node, context, "an integer") : Math.trunc(value) + 0;
};

/** Text is not taken here: Docker Compose casts the paths that may hold some before this. */
export const unsigned: Decoder<number> = (node, context) => {
  if (isScalar(node) && node.value === null) return undefined;
  const value = toNumber(node, "no texts");
  return value === undefined || value < 0 ? refuse(node, context, "an integer of 0 or more") : Math.trunc(value) + 0;
};

/** Rounded to what a 32-bit float holds, and printed with as few digits as tell it apart. */
export const float32: Decoder<number> = (node, context) => {
  if (!isScalar(node) || node.value === null) return isScalar(node) ? undefined : refuse(node, context, "a number");
  const value = typeof node.value === "string" ? Number(node.value.trim() || "x") : toNumber(node, "no texts");
  return value === undefined || !Number.isFinite(value) ? refuse(node, context, "a number") : shortFloat32(value);
};

function shortFloat32(value: number): number {
  const rounded = Math.fround(value);
  for (let digits = 1; digits <= 9; digits++) {
    const short = Number(rounded.toPrecision(digits));
    if (Math.fround(short) === rounded) return short;
  }
  return rounded;
}

export function oneOrMany<T>(item: Decoder<T>): Decoder<T[]> {
  const many = list(item);
  return (node, context) => {
    if (node.kind !== "scalar") return many(node, context);
    const value = item(node, context);
    return value === undefined ? undefined : [value];
  };
}

export function list<T>(item: Decoder<T>): Decoder<T[]> {
  return (node, context) => {
    if (node.kind === "scalar" && node.value === null) return undefined;
    if (node.kind !== "seq") return refuse(node, context, "a list");
    const values: T[] = [];
    for (const [index, element] of node.items.entries()) {
      context.path.push(String(index));
      const value = item(element, context);
      context.path.pop();
      if (value !== undefined) values.push(value);
    }
    return values;
  };
}

/** Keys sorted as Go sorts them, so that the model prints and hashes the same on every load. */
export function makeDict<T>(pairs: Iterable<readonly [string, T]>): Record<string, T> {
  const dict = Object.create(null) as Record<string, T>;
  const sorted = [...pairs];
  if (sorted.length > 1) sorted.sort(([a], [b]) => compareBytes(a, b));
  for (const [key, value] of sorted) dict[key] = value;
  return dict;
}

/** `whenNothing`: what a key without a value stands for; undefined leaves the key out. */
export function dict<T>(value: Decoder<T>, whenNothing?: T): Decoder<Record<string, T>> {
  return (node, context) => {
    if (node.kind === "scalar" && node.value === null) return undefined;
    if (node.kind !== "map") return refuse(node, context, "a map");
    const pairs: [string, T][] = [];
    for (const [key, entry] of node.entries) {
      context.path.push(key);
      const isNothing = entry.value.kind === "scalar" && entry.value.value === null;
      const decoded = isNothing && whenNothing !== undefined ? whenNothing : value(entry.value, context);
      context.path.pop();
      if (decoded !== undefined) pairs.push([key, decoded]);
    }
    return makeDict(pairs);
  };
}

/** When a field of a struct is printed. `nonzero`: unless it is Go's zero value. `given`: if the file says anything.
 *  An object: always, with this where the file says nothing. */
export type Presence = "nonzero" | "given" | { readonly always: () => unknown };

export interface Field {
  readonly key: string;
  /** The key in the file, where it differs. */
  readonly from?: string;
  readonly decode: Decoder;
  readonly presence: Presence;
}

export function field(key: string, decode: Decoder, presence: Presence = "nonzero", from?: string): Field {
  return { key, decode, presence, ...(from === undefined ? {} : { from }) };
}

/** Fields in Go's order, then `x-*` keys. */
export function struct<T>(fields: readonly Field[], extensions: "extensions" | "closed" = "extensions"): Decoder<T> {
  return (node, context) => {
    if (node.kind !== "map")
      return node.kind === "scalar" && node.value === null ? undefined : refuse(node, context, "a map");
    const result: Record<string, unknown> = {};
    for (const { key, from = key, decode, presence } of fields) {
      const child = node.entries.get(from)?.value;
      let value: unknown;
      if (child !== undefined) {
        context.path.push(from);
        value = decode(child, context);
        context.path.pop();
      }
      if (typeof presence === "object") result[key] = value ?? presence.always();
      else if (value !== undefined && (presence === "given" || !isZero(value))) result[key] = value;
    }
    if (extensions === "extensions") {
      for (const [key, entry] of node.entries) if (key.startsWith("x-")) result[key] = toPlain(entry.value);
    }
    return result as T;
  };
}

function isZero(value: unknown): boolean {
  if (typeof value === "string") return value === "";
  if (value === false || value === 0 || value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  // A struct is a pointer where it may be left out, so even an empty one is printed; an empty dict is not.
  return typeof value === "object" && Object.getPrototypeOf(value) === null && Object.keys(value).length === 0;
}
